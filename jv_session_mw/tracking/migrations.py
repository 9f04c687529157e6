"""The SQL that a database needs, in the order in which it is applied."""

from collections.abc import Iterator
from importlib.resources import files


def migrations() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each migration, as the Supabase CLI names them."""
    folder = files("jv_session_mw.tracking") / "sql"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield file.name, file.read_text("utf-8")
