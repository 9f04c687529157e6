"""What `ConversationMiddleware` is given: refused at start where it cannot work, or made use of."""

import re
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, cast

from jv_session_mw.arguments import kind_of, require_choice, require_seconds
from jv_session_mw.changes import Rules
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.ids import TokenSigner
from jv_session_mw.resolvers import Cookie, Header, Resolver
from jv_session_mw.settings import Settings
from jv_session_mw.store import ConversationStore
from jv_session_mw.tokens import Tokens

if TYPE_CHECKING:  # an app without a tracker does not pay for its import
    from jv_session_mw.tracking.follower import TrackerFollower, TrackPolicy
    from jv_session_mw.tracking.tracker import SessionTracker


def check(
    *,
    store: object,
    resolvers: object,
    owner: object,
    secure: object,
    load: object,
    exclude: object,
    commit_on_error: object,
    checkpoint_seconds: object,
) -> None:
    """Refuse what cannot work; raises `ConfigurationError`."""
    if store is not None and not isinstance(store, ConversationStore):
        raise ConfigurationError(
            f"store= is {kind_of(store)}: give a store, such as RedisConversationStore()"
        )
    if owner is not None and (not callable(owner) or _is_async(owner)):
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
    require_choice("secure", secure, (True, False))  # "false" would be true
    require_choice("commit_on_error", commit_on_error, (True, False))
    if checkpoint_seconds is not None:
        require_seconds("checkpoint_seconds", checkpoint_seconds)


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


def keys_of(secret_keys: Sequence[str] | None) -> tuple[str, ...]:
    """Return the keys of the tokens, newest first; None: those of the environment.

    Raises `ConfigurationError` for what is no list of strings.
    """
    if secret_keys is None:
        return Settings.from_env().secret_keys
    if isinstance(secret_keys, str):
        return (secret_keys,)
    if not _are_all(secret_keys, _is_text):
        raise ConfigurationError("secret_keys: give a list of strings, newest first")
    return tuple(secret_keys)


def tokens_of(
    keys: Sequence[str], resolvers: Sequence[Resolver] | None, rules: Rules, *, secure: bool
) -> Tokens:
    """Return what finds, verifies and signs the tokens; raises `ConfigurationError`.

    No token is valid for longer than the *rules* let a conversation live.
    """
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
        max_age=rules.lifetime_ms / 1000 or None,
    )
    return Tokens(signer, resolvers)


def _is_async(function: Callable[..., object]) -> bool:
    """Say whether it is an `async` function, or an object that is called as one."""
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


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
