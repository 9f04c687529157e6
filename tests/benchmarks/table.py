"""A run as tables for a terminal."""

from collections.abc import Iterator, Sequence

from tests.benchmarks.results import Measurement, Results

TITLES = {
    "turn": "a turn",
    "read": "a read",
    "visit": "a visitor without a token",
    "store": "what is stored",
    "chunk": "a chunk",
    "round trip": "one PING",
}


def render(results: Results) -> str:
    lines = [f"Python {results.python}{', a quick look' if results.quick else ''}"]
    cpu = results.select("cpu")
    for operation in ("turn", "read"):
        by_size = [found for found in cpu if found.operation == operation and _usual(found)]
        lines += _table(
            f"CPU added to {TITLES[operation]}, µs, by messages stored", by_size, "size"
        )
        others = [found for found in cpu if found.operation == operation and found.size == 100]
        lines += _table(
            f"CPU added to {TITLES[operation]} of 100 messages, µs, by concurrency",
            others,
            "concurrency",
        )
    visits = [found for found in cpu if found.operation == "visit"]
    lines += _table(f"CPU added to {TITLES['visit']}, µs", visits, "operation")
    for concurrency in (1, 32):
        found = results.select("latency", concurrency=concurrency)
        lines += _table(f"Time added, µs, at concurrency {concurrency}", found, "variant")
    lines += _table("Over HTTP, a turn of 100 messages", results.select("http"), "variant")
    for operation in ("turn", "read"):
        for variant in ("bytes in", "bytes out", "commands"):
            found = results.select("traffic", operation=operation, variant=variant)
            lines += _table(f"Redis, {TITLES[operation]}: {variant}", found, "size")
    lines += _table(
        "Bytes of a conversation in Redis", results.select("memory", variant="conversation"), "size"
    )
    lines += _table("A process, MiB", results.select("memory", variant="process"), "variant")
    lines += _table("Telemetry, a turn of 100 messages, µs", results.select("telemetry"), "variant")
    lines += _table("A stream, µs", results.select("chunk"), "operation")
    lines += _table("While Redis is away, turns/s", results.select("fallback"), "operation")
    return "\n".join(lines)


def _usual(found: Measurement) -> bool:
    """Whether it belongs to the series by size, whose long conversations have fewer clients."""
    return found.concurrency == 32 or found.size > 1_000


def _table(title: str, found: Sequence[Measurement], by: str) -> Iterator[str]:
    """Yield the lines of one table: contenders down, *by* across."""
    if not found:
        return
    columns = list(dict.fromkeys(getattr(one, by) for one in found))
    names = list(dict.fromkeys(one.contender for one in found))
    cells = {(one.contender, getattr(one, by)): one.value for one in found}
    yield ""
    yield title
    yield " " * 20 + "".join(f"{_label(column):>14}" for column in columns)
    for name in names:
        row = (_number(cells.get((name, column))) for column in columns)
        yield f"  {name:<18}" + "".join(f"{cell:>14}" for cell in row)


def _label(column: str | int) -> str:
    return f"{column:,}" if isinstance(column, int) else column


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
