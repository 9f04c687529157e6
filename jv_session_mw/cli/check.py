"""`jv-session-mw check`: connect as the application would; say what is right and what to do."""

import argparse
import asyncio
import logging
import re
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

from jv_session_mw import codec, ids
from jv_session_mw.backends.redis.address import read_parts, read_url
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.redis.topology import Connect, connect_to, connection_options
from jv_session_mw.cli.findings import Finding, report
from jv_session_mw.errors import StoreError, StoreUnavailable
from jv_session_mw.process_store import create_conversation_store
from jv_session_mw.settings import SECRET_KEYS, Settings
from jv_session_mw.version import __version__

SHORT_KEY = 32
OLDEST_SERVER = (6, 2)
PATIENCE_SECONDS = 2.0

START = "start one with `jv-session-mw redis start`, or let REDIS_URL name the one to use"
ADVICE = {
    "auth": "give the right user and password: REDIS_URL=redis://user:password@host:6379/0",
    "permission": "let the user run EVALSHA, SCRIPT and the hash, list and string commands",
    "sentinel": "give the sentinels and the service that they watch: "
    "REDIS_URL=redis+sentinel://host:26379,host:26379/service/0",
    "cluster": "redis+cluster://host:6379,host:6379 is for a cluster, redis://host:6379/0 for a "
    "single server",
    "oom": "the server's memory is full: raise maxmemory, or shorten REDIS_CONVERSATION_TTL",
    "readonly": "this is a replica: let REDIS_URL name the primary",
}

ServerInfo = dict[str, str]
DELIVERY = Delivery(doubt_after=PATIENCE_SECONDS, give_up_after=PATIENCE_SECONDS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments: the environment is checked, as the application would find it."""


def run(_arguments: argparse.Namespace) -> int:
    """Print the findings; status 1 when the application would not work with this environment."""
    logging.getLogger("jv_session_mw").addHandler(logging.NullHandler())
    settings = Settings.from_env()
    return report([*_keys(settings), *asyncio.run(_server(settings)), _package()])


def _package() -> Finding:
    way = "as Python" if (codec.__file__ or "").endswith(".py") else "compiled"
    return Finding(f"jv_session_mw {__version__} runs {way}")


def _keys(settings: Settings) -> Iterator[Finding]:
    keys = settings.secret_keys
    if not keys:
        advice = f'export {SECRET_KEYS}="$(jv-session-mw new-key)"'
        yield Finding(
            f"{SECRET_KEYS} is not set: the application will not start", advice, fatal=True
        )
        return
    yield Finding(f"{SECRET_KEYS} has {len(keys)} key(s); the first one signs")
    if any(len(key) < SHORT_KEY for key in keys):
        yield Finding("a key is short", "a key of `jv-session-mw new-key` cannot be guessed")


async def _server(settings: Settings) -> list[Finding]:
    connect = _connect(settings)  # refuses a URL that could not even be shown
    where = _shown(settings)
    try:
        await _round_trip()
        info = await _info(connect)
    except StoreUnavailable as error:
        return [Finding(f"{where}: {error}", ADVICE.get(error.reason, START), fatal=True)]
    except StoreError as error:
        return [Finding(f"{where}: {error}", "use another database or key prefix", fatal=True)]
    if info.get("cluster_enabled") == "1" and "+cluster" not in where:
        what = f"{where} is part of a cluster, and has only some of the keys"
        return [Finding(what, ADVICE["cluster"], fatal=True)]
    return [Finding(f"{where} loads, saves and deletes"), *_judge(info)]


async def _round_trip() -> None:
    async with create_conversation_store(fallback=None, deadline=PATIENCE_SECONDS) as store:
        id = f"check-{ids.mint()}"
        await store.set(id, {"checked": True, "messages": [{"role": "user", "content": "?"}]})
        try:
            await store.get(id)
        finally:
            await store.delete(id)


async def _info(connect: Connect) -> ServerInfo:
    """Return what INFO says about one of the primaries; nothing where the user may not ask."""
    line = connect(DELIVERY)
    try:
        primary, *_ = await line.primaries(PATIENCE_SECONDS)
        # Redis 6.2 takes at most one section as an argument, so this asks for all of them.
        answer = cast("bytes", await primary.send(("INFO",), PATIENCE_SECONDS))
    except StoreUnavailable as error:
        if error.reason != "permission":  # the application never asks this
            raise
        return {}
    finally:
        await line.close()
    facts = (fact.partition(":") for fact in answer.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in facts if colon}


def _judge(info: ServerInfo) -> Iterator[Finding]:
    if not info:
        yield Finding(
            "the user may not run INFO, which only this check does",
            "allow it with +info to see whether version and settings are right",
        )
        return
    name = info.get("server_name", "redis")
    version = info.get(f"{name}_version", info.get("redis_version", "of an unknown version"))
    if is_too_old(version):
        yield Finding(f"{name} {version} is too old", "use Redis 6.2 or newer, or Valkey", True)
    else:
        yield Finding(f"{name} {version}")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys"):
        yield Finding(
            f"maxmemory-policy is {policy}: conversations are evicted when memory runs out",
            "use volatile-ttl, or a server of its own with noeviction",
        )


def is_too_old(version: str) -> bool:
    """Say whether *version* is surely too old: a managed service may say `7.x`, or `unstable`."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return numbers < OLDEST_SERVER[: len(numbers)]


def _connect(settings: Settings) -> Connect:
    if settings.url is not None:
        address = read_url(settings.url)
    else:
        address = read_parts(
            settings.host, settings.port, settings.db, None, settings.password, tls=False
        )
    return connect_to(address, connection_options(PATIENCE_SECONDS, PATIENCE_SECONDS))


def _shown(settings: Settings) -> str:
    """Return the address without its password."""
    if settings.url is None:
        return f"{settings.host}:{settings.port}/{settings.db}"
    parts = urlsplit(settings.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
