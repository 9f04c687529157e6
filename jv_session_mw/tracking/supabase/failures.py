"""The failures of a Supabase project and its client, as errors of this package."""

import httpx
from postgrest import APIError

from jv_session_mw.errors import SchemaMissing, TrackerUnavailable, TrackingError
from jv_session_mw.tracking.ledger import BadItems

MIGRATE = (
    'apply the migrations, `jv-session-mw tracking migrate --print | psql -1 "$DATABASE_URL"`, '
    "or let the API see them: notify pgrst, 'reload schema'"
)
SERVICE_KEY = "give the key of the service role, SUPABASE_SERVICE_KEY"

# The beginnings of SQLSTATEs and of PostgREST's own codes; the first that fits counts.
# Source: PostgreSQL, Appendix A; PostgREST, "Errors".
SCHEMA = ("PGRST106", "PGRST202", "PGRST203", "PGRST205", "42883", "42P01", "42703", "3F000")
AUTH = ("PGRST30", "28")
DATA = ("21", "22", "23", "P0", "54", "PGRST102")
OVERLOAD = ("53", "PGRST003")


def failure_of(error: APIError | httpx.HTTPError | httpx.InvalidURL) -> TrackingError:
    """Return *error* as one of this package, whose message shows nothing of what was sent."""
    if isinstance(error, httpx.TimeoutException):
        return TrackerUnavailable("Supabase did not answer in time", reason="timeout")
    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        return _refusal(_code_in(response)) or _status(str(response.status_code))
    if isinstance(error, APIError):
        return _refusal(error.code or "") or _status(error.code or "no code")
    name = type(error).__name__
    return TrackerUnavailable(f"Supabase is not reached: {name}", reason="connection")


def misread(answer: object) -> TrackingError:
    """Return the error for an *answer* that the functions of this version would not give."""
    if isinstance(answer, str):  # the client hands on what is not JSON as it is
        return TrackerUnavailable(
            "what answers at SUPABASE_URL is not a Supabase project: its answer is not JSON",
            reason="protocol",
        )
    return SchemaMissing(f"the functions of the database are those of another version: {MIGRATE}")


def _refusal(code: str) -> TrackingError | None:
    """Return the error for a code of the database or PostgREST, None for an unknown one."""
    if code.startswith(SCHEMA):
        return SchemaMissing(f"the database lacks what this version needs ({code}): {MIGRATE}")
    if code == "42501":
        return TrackerUnavailable(f"the database denies it: {SERVICE_KEY}", reason="permission")
    if code.startswith(AUTH):
        return TrackerUnavailable(f"Supabase refuses the key: {SERVICE_KEY}", reason="auth")
    if code.startswith(DATA):
        return BadItems(f"the database cannot store it ({code})")
    if code.startswith(OVERLOAD):
        return TrackerUnavailable(f"Supabase has too much to do ({code})", reason="overload")
    return None


def _status(status: str) -> TrackingError:
    if status in ("401", "403"):
        return TrackerUnavailable(f"Supabase refuses the key: {SERVICE_KEY}", reason="auth")
    if status == "413":
        return BadItems("it is too large for the way to the database (413)")
    if status == "429":
        return TrackerUnavailable("Supabase has too much to do (429)", reason="overload")
    if status == "404":
        return TrackerUnavailable(
            "there is no API at SUPABASE_URL: give the project's URL alone", reason="protocol"
        )
    return TrackerUnavailable(f"Supabase failed ({status})", reason="server")


def _code_in(response: httpx.Response) -> str:
    """Return the code of an error of PostgREST, empty for what comes from elsewhere."""
    try:
        return str(response.json()["code"])
    except (ValueError, LookupError, TypeError):
        return ""
