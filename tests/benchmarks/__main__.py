"""`python -m tests.benchmarks`: measure, show, draw."""

# What is needed for a benchmark only may be missing.
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false

import argparse
import asyncio
import platform
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

MISSING = "{name} is not installed: run `make bench`, or pip install -e '.[bench]'"

try:
    import uvloop
    from tqdm import tqdm

    from jv_session_mw.cli.ephemeral import ephemeral
    from tests.benchmarks import (
        cost,
        fallback,
        figures,
        latency,
        memory,
        overhttp,
        plots,
        stream,
        table,
        telemetry,
        traffic,
    )  # fmt: skip
    from tests.benchmarks.contenders import Contender
    from tests.benchmarks.contenders.ours import Ours
    from tests.benchmarks.makers import MAKERS
    from tests.benchmarks.plan import FULL, QUICK, Plan
    from tests.benchmarks.results import Measurement, Results, read, write
except ModuleNotFoundError as error:
    sys.exit(MISSING.format(name=error.name))

OUT = Path("build/benchmarks")
KINDS = ("cpu", "latency", "http", "telemetry", "traffic", "memory", "chunk", "fallback")


def steps(
    contenders: Sequence[Contender], ours: Ours, port: int, plan: Plan
) -> dict[str, list[AsyncGenerator[Measurement]]]:
    """Return what is to be measured, by its kind."""
    return {
        "cpu": [
            cost.by_size(contenders, plan),
            cost.by_concurrency(contenders, plan),
            cost.by_length(ours, plan),
            cost.visits(contenders, plan),
        ],
        "latency": [latency.added(contenders, plan), latency.round_trip(port, plan)],
        "http": [overhttp.served(contenders, port, plan)],
        "telemetry": [telemetry.added(port, plan)],
        "traffic": [traffic.counted(contenders, port, plan)],
        "memory": [memory.conversations(contenders, port, plan)],
        "chunk": [stream.chunk(ours, plan)],
        "fallback": [fallback.turns_per_second(plan)],
    }


async def measure(port: int, plan: Plan, kinds: Sequence[str]) -> Results:
    contenders = [await make(port) for make in MAKERS.values()]
    ours = next(one for one in contenders if isinstance(one, Ours))
    results = Results(platform.python_version(), f"127.0.0.1:{port}", plan is QUICK)
    planned = steps(contenders, ours, port, plan)
    try:
        with tqdm(total=len(kinds), unit="part", file=sys.stderr) as bar:
            for kind in kinds:
                bar.set_description(kind)
                for step in planned.pop(kind):
                    async for found in step:
                        results.add([found])
                        bar.set_postfix_str(f"{found.contender} {found.operation} {found.size}")
                bar.update()
    finally:
        for left in planned.values():
            for step in left:
                await step.aclose()
        for contender in contenders:
            await contender.close()
    return results


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds: a minute")
    parser.add_argument("--only", choices=KINDS, action="append", help="measure this kind alone")
    parser.add_argument("--json", type=Path, default=OUT / "results.json")
    parser.add_argument("--plots", type=Path, default=OUT, help="where the pictures go")
    parser.add_argument("--show", type=Path, help="show an earlier run, and measure nothing")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    if chosen.show:
        results = read(chosen.show)
    else:
        plan = QUICK if chosen.quick else FULL
        with ephemeral() as server:
            results = uvloop.run(measure(server.port, plan, chosen.only or KINDS))
        write(results, chosen.json)
    print(table.render(results))
    print(figures.render(results))
    for path in plots.draw(results, chosen.plots):
        print(f"drew {path}")


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped")
