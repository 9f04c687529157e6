"""The pictures that the documentation shows: readable on a light page and on a dark one."""

# Matplotlib is installed for a benchmark only.
# pyright: basic, reportMissingImports=false, reportArgumentType=false

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.benchmarks.results import Results

# Middle tones, which have contrast enough on white and on black.
COLOURS = {
    "ours": "#e4572e",
    "floor": "#8b949e",
    "starsessions": "#2f81f7",
    "litestar": "#a371f7",
    "fastapi-redis-sdk": "#2ea043",
    "cookie": "#bf8700",
}
INK = "#8b949e"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jv-session-mw",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
}
FIGURE_INCHES = (8.0, 4.2)

Series = dict[str, list[tuple[float, float]]]


def by_size(results: Results) -> Series:
    """Return the cost of a turn by the length of the conversation, for each contender."""
    found = [one for one in results.select("cpu", operation="turn") if one.contender != "bare"]
    usual = [one for one in found if one.concurrency == 32 or one.size > 1_000]
    return _series((one.contender, one.size, one.value) for one in usual)


def by_concurrency(results: Results) -> Series:
    found = results.select("cpu", operation="turn", size=100)
    return _series(
        (one.contender, one.concurrency, one.value) for one in found if one.contender != "bare"
    )


def by_percentile(results: Results) -> Series:
    """Return the added time by percentile, as the share of requests that take longer."""
    longer = {"p50": 50.0, "p99": 1.0, "p99.9": 0.1}
    return _series(
        (one.contender, longer[one.variant], one.value)
        for one in results.select("latency", concurrency=1)
        if one.contender != "redis"
    )


def _series(found: Iterator[tuple[str, float, float]]) -> Series:
    series: Series = {}
    for name, x, y in found:
        series.setdefault(name, []).append((x, y))
    return {name: sorted(dict(points).items()) for name, points in series.items()}


def draw(results: Results, folder: Path) -> Iterator[Path]:
    """Draw what was measured into *folder*, and yield each file."""
    folder.mkdir(parents=True, exist_ok=True)
    if size := by_size(results):
        yield _draw(
            size,
            folder / "cost-by-length.svg",
            "messages in the conversation",
            "CPU added to a turn, µs",
        )
    if concurrency := by_concurrency(results):
        yield _draw(
            concurrency,
            folder / "cost-by-concurrency.svg",
            "requests under way",
            "CPU added to a turn, µs",
        )
    if latency := by_percentile(results):
        path = folder / "latency.svg"
        yield _draw(latency, path, "requests that take longer, %", "time added to a turn, µs")


def _draw(series: Series, path: Path, x: str, y: str) -> Path:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=FIGURE_INCHES, layout="constrained")
        axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
        axes.grid(visible=True, which="major")
        if x.endswith("%"):  # from the usual to the rare
            axes.invert_xaxis()
        for name, points in series.items():
            _line(axes, name, points)
        _label_ends(axes, series)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_minor_formatter("")
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
    return path


def _line(axes: Axes, name: str, points: list[tuple[float, float]]) -> None:
    width = 3.0 if name == "ours" else 1.6
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=COLOURS[name], linewidth=width, marker="o", markersize=width + 2)


def _label_ends(axes: Axes, series: Series) -> None:
    """Write each name beside the end of its line, and keep the names apart."""
    right = max(x for points in series.values() for x, _ in points)
    left = min(x for points in series.values() for x, _ in points)
    inverted = axes.xaxis_inverted()
    ends = {name: points[0] if inverted else points[-1] for name, points in series.items()}
    axes.set_ylim(top=axes.get_ylim()[1] * 1.6)  # the uppermost names need room
    lowest = 0.0
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        lowest = max(y, lowest * 1.35)
        axes.annotate(
            name,
            (x, lowest),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[name],
            fontweight="bold" if name == "ours" else "normal",
        )
    room = (right / left) ** 0.3
    axes.set_xlim((right * 1.2, left / room) if inverted else (left / 1.2, right * room))
