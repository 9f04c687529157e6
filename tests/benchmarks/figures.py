"""The figures that the project holds itself to, and what a run says of them."""

from collections.abc import Iterator

from msgspec import Struct

from tests.benchmarks.results import Results

PEERS = ("starsessions", "litestar", "fastapi-redis-sdk")


class Figure(Struct, frozen=True):
    """A bound, at least or at most, and the value that was measured; None for not measured."""

    name: str
    value: float | None
    bound: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def figures(results: Results) -> Iterator[Figure]:
    def cpu(contender: str, operation: str, size: int) -> float | None:
        return results.value(
            "cpu", contender=contender, operation=operation, size=size, concurrency=32
        )

    def cheapest(operation: str, size: int) -> float | None:
        found = [cpu(peer, operation, size) for peer in PEERS]
        return min((value for value in found if value is not None), default=None)

    for operation in ("turn", "read"):
        for size, share in ((2, 4), (1_000, 30)):
            yield Figure(
                f"{operation} at {size:,} messages, of the cheapest peer's",
                ratio(cpu("ours", operation, size), cheapest(operation, size)),
                1 / share,
                "times",
            )
    yield Figure(
        "turn at 2 messages, of the floor's",
        ratio(cpu("ours", "turn", 2), cpu("floor", "turn", 2)),
        2.5,
        "times",
    )
    turns = results.value("length", size=10_000), results.value("length", size=100)
    yield Figure("turn at 10,000 messages, of that at 100", ratio(*turns), 1.2, "times")
    yield Figure(
        "visitor without a token",
        results.value("cpu", contender="ours", operation="visit"),
        10,
        "µs",
    )
    yield Figure("latency beyond two round trips, p99", _beyond(results), 1_000, "µs")
    yield Figure("chunk of a stream", results.value("chunk", contender="ours"), 1, "µs")
    telemetry = results.value("telemetry", variant="no sdk")
    whole = results.value("telemetry", variant="off")
    yield Figure(
        "telemetry without an SDK, of all that is added", ratio(telemetry, whole), 0.05, "times"
    )
    yield Figure(
        "bytes to Redis for a turn, of 1.5 times the change + 300", _bytes(results), 1, "times"
    )
    yield Figure(
        "turns in memory while Redis is away",
        results.value("fallback", contender="ours"),
        20_000,
        "/s",
        at_least=True,
    )


def ratio(one: float | None, other: float | None) -> float | None:
    """Return one over the other, None where either was not measured."""
    return None if one is None or not other else one / other


def render(results: Results) -> str:
    marks = {True: "reached", False: "NOT REACHED", None: "not measured"}
    lines = ["", "Figures"]
    for figure in figures(results):
        value = "-" if figure.value is None else f"{figure.value:,.3g}"
        sign = "≥" if figure.at_least else "≤"
        bound = f"{sign} {figure.bound:,.3g} {figure.unit}"
        lines.append(f"  {figure.name:<52}{value:>9}  {bound:<16}{marks[figure.reached]}")
    return "\n".join(lines)


def _beyond(results: Results) -> float | None:
    added = results.value("latency", contender="ours", concurrency=1, variant="p99")
    trip = results.value("latency", contender="redis", variant="p50")
    return None if added is None or trip is None else added - 2 * trip


def _bytes(results: Results) -> float | None:
    changed = results.value("traffic", variant="changed bytes")
    sent = results.select("traffic", contender="ours", operation="turn", variant="bytes in")
    if changed is None or not sent:
        return None
    return max(found.value for found in sent) / (1.5 * changed + 300)
