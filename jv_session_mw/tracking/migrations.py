"""The SQL that a tracker's database needs."""

from collections.abc import Iterator
from importlib.resources import files


def migrations() -> Iterator[tuple[str, str]]:
    """Yield the name, as the Supabase CLI has it, and the text of each migration, in order."""
    folder = files("jv_session_mw.tracking") / "sql"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield file.name, file.read_text("utf-8")
