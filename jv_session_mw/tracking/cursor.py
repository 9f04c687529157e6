"""The cursor of a listing: where a page ends, as a string that a client can hold."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.tracking.session import ChatSession
from jv_session_mw.tracking.texts import require_text

UNREADABLE = (
    ValueError, TypeError, LookupError, OverflowError, AttributeError, RecursionError,
)  # fmt: skip


def cursor_after(session: ChatSession) -> str:
    """Return the cursor of the page that begins after *session*.

    It is not signed: even a made-up one only names a place in the owner's own listing.
    """
    place = json.dumps([session.last_activity_at.isoformat(), session.id])
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """Return the time of activity and the id that *cursor* names; raises `UnsupportedValue`."""
    try:
        place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at, id = datetime.fromisoformat(place[0]), place[1]
        require_text("the cursor", id)
        at.utctimetuple()
    except UNREADABLE as error:
        raise UnsupportedValue("the cursor", "give the one of the page before") from error
    if at.tzinfo is None:
        raise UnsupportedValue("the cursor", "give the one of the page before")
    return at, id
