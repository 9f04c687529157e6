"""Texts that PostgreSQL can keep, and the title that is made of one."""

from jv_session_mw.errors import UnsupportedValue

LONGEST_TITLE = 80


def require_text(field: str, text: object) -> str:
    """Return *text*; raises `UnsupportedValue` for what PostgreSQL cannot keep as text."""
    if not isinstance(text, str):
        raise UnsupportedValue(field, "give a string")
    if cleaned(text) != text:
        raise UnsupportedValue(field, "it has a NUL character or a lone surrogate")
    return text


def cleaned(text: str) -> str:
    """Return *text* with a replacement character for what PostgreSQL cannot keep."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def title_of(text: str) -> str:
    """Return the title that a listing shows for a first message: its words in one short line."""
    words = cleaned(text[: 4 * LONGEST_TITLE]).split()
    line = " ".join(words)
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1].rstrip() + "…"
