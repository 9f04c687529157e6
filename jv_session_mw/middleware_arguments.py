"""What `ConversationMiddleware` is given: refused at start where it cannot work, or made use of."""

import re
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, cast

from jv_session_mw.arguments import kind_of, require_choice
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.ids import TokenSigner
from jv_session_mw.resolvers import Cookie, Header, Resolver
from jv_session_mw.settings import Settings
from jv_session_mw.store import ConversationStore
from jv_session_mw.tokens import Tokens

if TYPE_CHECKING:  # an app without a tracker does not pay for its import
    from jv_session_mw.tracking.follower import TrackerFollower, TrackPolicy
    from jv_session_mw.tracking.tracker import SessionTracker


def check(store: object, resolvers: object, owner: object, load: str, exclude: object) -> None:
    """Refuse what cannot work; raises `ConfigurationError`."""
    if store is not None and not isinstance(store, ConversationStore):
        raise ConfigurationError(
            f"store= is {kind_of(store)}: give a store, such as RedisConversationStore()"
        )
    if owner is not None and (not callable(owner) or iscoroutinefunction(owner)):
        raise ConfigurationError(
            f"owner={owner!r}: give a plain function from the scope to the owner, or None"
        )
    require_choice("load", load, ("eager", "lazy"))
    if resolvers is not None and not _are_all(resolvers, _is_resolver):
        raise ConfigurationError("resolvers: give a list of them, such as [Cookie('chat')]")
    if not _are_all(exclude, _is_prefix):
        raise ConfigurationError(
            f"exclude={exclude!r}: give a list of paths such as '/static', without '*'"
        )


def follower_of(
    tracker: "SessionTracker | None", track: "TrackPolicy | None"
) -> "TrackerFollower | None":
    """Return what tells *tracker* of each commit; raises `ConfigurationError`."""
    if tracker is None:
        if track is not None:
            raise ConfigurationError("track= is for a tracker, and there is no tracker: give one")
        return None
    if isinstance(tracker, type) or not callable(getattr(tracker, "touch", None)):
        raise ConfigurationError(
            f"tracker= is {kind_of(tracker)}: give a tracker, such as SupabaseSessionTracker()"
        )
    from jv_session_mw.tracking.follower import TrackerFollower, TrackPolicy

    if track is not None and not isinstance(track, TrackPolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"track={track!r}: give a policy: TrackPolicy(snapshot=True)")
    return TrackerFollower(tracker, track or TrackPolicy())


def tokens_of(
    store: ConversationStore[Any],
    secret_keys: Sequence[str] | None,
    resolvers: Sequence[Resolver] | None,
    secure: bool,
) -> Tokens:
    """Return what finds, verifies and signs the tokens; raises `ConfigurationError`."""
    if isinstance(secret_keys, str):
        secret_keys = (secret_keys,)
    if secret_keys is not None and not _are_all(secret_keys, _is_text):
        raise ConfigurationError("secret_keys: give a list of strings, newest first")
    keys = Settings.from_env().secret_keys if secret_keys is None else tuple(secret_keys)
    if resolvers is None:
        resolvers = (Header("X-Conversation-ID"), Cookie("conversation"))
    if not resolvers:
        raise ConfigurationError("resolvers is empty: a request needs a place for its token")
    if not secure:
        resolvers = [resolver.without_tls() for resolver in resolvers]
    cookies = [resolver.name for resolver in resolvers if isinstance(resolver, Cookie)]
    signer = TokenSigner(
        keys,
        purpose=cookies[0] if cookies else resolvers[0].name,
        max_age=store.rules.lifetime_ms / 1000 or None,
    )
    store.telemetry.key_ids(keys[0])
    return Tokens(signer, resolvers)


def _are_all(given: object, fit: Callable[[object], bool]) -> bool:
    if isinstance(given, str) or not isinstance(given, Sequence):
        return False
    return all(map(fit, cast("Sequence[object]", given)))


def _is_resolver(given: object) -> bool:
    return callable(getattr(given, "candidates", None)) and not isinstance(given, type)


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def _is_prefix(given: object) -> bool:
    return isinstance(given, str) and re.fullmatch("/+[^/*][^*]*", given) is not None
