"""Checks of arguments: each raises `ConfigurationError`, which says what to give instead."""

from jv_session_mw.errors import ConfigurationError

A_CENTURY = 100 * 365.25 * 86_400  # seconds; a server counts the milliseconds of a TTL in 64 bits
MOST = 2**53


def require_seconds(name: str, value: object) -> None:
    """Refuse what is not a number of seconds, above zero and up to a century."""
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
    if not 0 < number <= A_CENTURY:
        raise ConfigurationError(
            f"{name}={value!r}: give a positive number of seconds, those of a century at most"
        )


def require_whole(name: str, value: object, *, least: int = 1, most: int = MOST) -> None:
    """Refuse what is not an integer in these bounds; True and False are not."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{name}={value!r}: give a whole number from {least} to {most}")


def require_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name}={value!r}: give one of {', '.join(map(repr, choices))}")


def kind_of(value: object) -> str:
    """Return what is shown of a *value* that may hold a password: a class, else its type."""
    return repr(value) if isinstance(value, type) else f"a {type(value).__qualname__}"


def require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}={value!r}: give a string")
