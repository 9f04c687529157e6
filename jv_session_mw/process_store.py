"""The store that the environment describes, and the one that a process shares."""

from typing import Any

from jv_session_mw.build import RedisConversationStore
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.settings import Settings
from jv_session_mw.store import ConversationStore

PARTS = frozenset({"host", "port", "db", "username", "password", "tls"})


def create_conversation_store(**options: Any) -> ConversationStore:
    """Return a new `RedisConversationStore` from the environment; *options* win over that.

    Raises `ConfigurationError`, also when `REDIS_URL` would win over an option.
    """
    settings = Settings.from_env()
    from_environment: dict[str, Any] = {
        "url": settings.url,
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "password": settings.password,
        "ttl_seconds": settings.ttl_seconds,
    }
    if "client" in options:
        del from_environment["url"]
    if settings.url and "url" not in options and PARTS & options.keys():
        raise ConfigurationError(
            f"REDIS_URL is set and would win over {', '.join(sorted(PARTS & options.keys()))}: "
            "pass url= instead, or unset it"
        )
    store: ConversationStore = RedisConversationStore(**(from_environment | options))
    if settings.secret_keys:
        store.telemetry.key_ids(settings.secret_keys[0])
    return store


_process_store: ConversationStore | None = None


def get_conversation_store() -> ConversationStore:
    """Return the process's store, made from the environment on first use.

    Raises `ConfigurationError` when the environment cannot work.
    """
    global _process_store  # noqa: PLW0603
    if _process_store is None:
        _process_store = create_conversation_store()
    return _process_store


async def reset_conversation_store() -> None:
    """Close the process's store; the next `get_conversation_store()` makes a new one."""
    global _process_store
    store, _process_store = _process_store, None
    if store is not None:
        await store.close()
