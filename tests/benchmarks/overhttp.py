"""The same over HTTP: a uvicorn for each contender, the load from this process."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from jv_session_mw.cli.server import free_port
from tests.benchmarks.contenders import Contender, Headers
from tests.benchmarks.latency import percentile
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

CLIENTS = 16
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


async def served(
    contenders: Sequence[Contender], port: int, plan: Plan
) -> AsyncGenerator[Measurement]:
    """Measure turns of 100 messages; the server is fresh, its CPU that of the whole process."""
    for name in ("bare", *(contender.name for contender in contenders)):
        seeder = next((one for one in contenders if one.name == name), contenders[0])
        clients = await seeder.seed(plan.size, CLIENTS)
        async with uvicorn(name, port) as (address, process):
            await _load(address, clients, 0.3)
            before = _cpu_seconds(process.pid)
            started = time.perf_counter()
            taken = await _load(address, clients, plan.seconds)
            seconds = time.perf_counter() - started
            found = {
                "cpu": (_cpu_seconds(process.pid) - before) / len(taken) * 1e6,
                "rps": len(taken) / seconds,
                "p50": percentile(taken, 0.5) * 1e6,
                "p99": percentile(taken, 0.99) * 1e6,
            }
            for variant, value in found.items():
                yield Measurement("http", name, "turn", value, "", plan.size, CLIENTS, variant)
            resident = _resident_bytes(process.pid) / 2**20
            yield Measurement("memory", name, "store", resident, "MiB", variant="process")


@asynccontextmanager
async def uvicorn(name: str, port: int) -> AsyncGenerator[tuple[int, asyncio.subprocess.Process]]:
    """Serve the contender *name* on a free port, and end that server by its process id."""
    address = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "--factory", "tests.benchmarks.server:app",
        "--port", str(address), "--loop", "uvloop", "--http", "httptools",
        "--log-level", "warning", "--no-access-log",
        env={**os.environ, "BENCHMARK_CONTENDER": name, "BENCHMARK_REDIS": str(port)},
    )  # fmt: skip
    try:
        await _up(address)
        yield address, process
    finally:
        process.terminate()
        await process.wait()


async def _up(address: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", address)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def _load(address: int, clients: Sequence[Headers], seconds: float) -> list[float]:
    """Let every client ask on its own connection until the time is over."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def client(headers: Headers) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", address)
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        asked = b"GET /turn HTTP/1.1\r\nhost: localhost\r\n" + lines + b"\r\n"
        while (started := time.perf_counter()) < end:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the server answered {head[:40]!r}")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
            taken.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*map(client, clients))
    return taken


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE
