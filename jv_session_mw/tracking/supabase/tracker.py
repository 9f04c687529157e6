"""Chat sessions in a Supabase project."""

import re
from urllib.parse import urlsplit

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from supabase import AsyncClient

from jv_session_mw.arguments import require_seconds, require_whole
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.settings import SUPABASE_SERVICE_KEY, SUPABASE_URL, Settings
from jv_session_mw.tracking.ledger_tracker import LedgerTracker
from jv_session_mw.tracking.supabase.ledger import SupabaseLedger

MOST_AT_ONCE = 1_000


class SupabaseSessionTracker(LedgerTracker):
    """Chat sessions in a Supabase project, whose database has the migrations of this package.

    *url* and *key*, that of the service role, default to `SUPABASE_URL` and `SUPABASE_SERVICE_KEY`.
    *client*, an `AsyncClient` that nobody signs in on, is used in place of both and not closed.
    Activity is written every *flush_interval* seconds, *max_batch* sessions in a request; up to
    *max_pending* sessions wait while the project is away. *timeout* bounds one request, in seconds,
    and what `close()` may take.

    Raises `ConfigurationError` for what cannot work; no request is sent before the first call.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        key: str | None = None,
        client: AsyncClient | None = None,
        flush_interval: float = 1.0,
        max_batch: int = 500,
        max_pending: int = 10_000,
        timeout: float = 5.0,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        settings = Settings.from_env()
        if client is not None and (url is not None or key is not None):
            raise ConfigurationError("client stands in place of url and key: give either")
        url, key = url or settings.supabase_url, key or settings.supabase_service_key
        if client is None:
            _check_url(url)
            _check_key(key)
        require_seconds("flush_interval", flush_interval)
        require_seconds("timeout", timeout)
        require_whole("max_batch", max_batch, most=MOST_AT_ONCE)
        require_whole("max_pending", max_pending)
        super().__init__(
            SupabaseLedger(url or "", key or "", client, timeout),
            flush_interval=flush_interval,
            max_batch=max_batch,
            max_pending=max_pending,
            close_timeout=timeout,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
        )


def _check_url(url: str | None) -> None:
    if not url:
        raise ConfigurationError(
            f"{SUPABASE_URL} is not set: give the project's URL, https://<project>.supabase.co"
        )
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", url) or not _has_host(url):
        raise ConfigurationError(
            # It may be the key, or the address of the database with its password: it is not shown.
            f"{SUPABASE_URL} is not the project's URL alone, https://<project>.supabase.co"
        )


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an end, a port that is none
        return False


def _check_key(key: str | None) -> None:
    if not key:
        raise ConfigurationError(
            f"{SUPABASE_SERVICE_KEY} is not set: give the key of the service role, which the "
            "project's settings show as secret"
        )
    if not re.fullmatch(r"[\w.+/=-]+", key, re.ASCII):
        raise ConfigurationError(
            f"{SUPABASE_SERVICE_KEY} is not a key: no key has spaces or line breaks"
        )
