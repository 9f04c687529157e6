"""The benchmark's own arithmetic, and that its contenders do what they are measured at."""

from pathlib import Path

import pytest

from tests.benchmarks import cost, drive, figures, table
from tests.benchmarks.contenders import Contender, floor, ours
from tests.benchmarks.latency import percentile
from tests.benchmarks.plan import QUICK
from tests.benchmarks.results import Measurement, Results, read, write
from tests.benchmarks.work import message
from tests.servers import RedisServer


def cpu(contender: str, operation: str, size: int, value: float) -> Measurement:
    return Measurement("cpu", contender, operation, value, "µs", size, 32)


RESULTS = Results(
    "3.11",
    "here",
    quick=False,
    measurements=[
        cpu("ours", "turn", 2, 30.0),
        cpu("starsessions", "turn", 2, 200.0),
        cpu("litestar", "turn", 2, 120.0),
        cpu("cookie", "turn", 2, 1.0),
        cpu("floor", "turn", 2, 10.0),
        Measurement("fallback", "ours", "turn", 15_000.0, "turns/s"),
    ],
)


def test_a_figure_is_held_against_the_cheapest_peer_and_says_whether_it_was_reached() -> None:
    found = {figure.name: figure for figure in figures.figures(RESULTS)}
    turn = found["turn at 2 messages, of the cheapest peer's"]
    assert (turn.value, turn.reached) == (0.25, True)
    above_the_floor = found["turn at 2 messages, of the floor's"]
    assert (above_the_floor.value, above_the_floor.reached) == (3.0, False)
    assert found["turns in memory while Redis is away"].reached is False
    assert found["read at 2 messages, of the cheapest peer's"].reached is None


def test_what_was_measured_is_shown_and_the_rest_is_not() -> None:
    shown = table.render(RESULTS)
    assert all(one.contender in shown for one in RESULTS.measurements)
    assert "CPU added to a read" not in shown
    assert "not measured" in figures.render(RESULTS)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1_000, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 0.999)] == [501, 991, 1_000]
    assert percentile([7.0], 0.999) == 7


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    write(RESULTS, tmp_path / "deep" / "results.json")
    assert read(tmp_path / "deep" / "results.json") == RESULTS


@pytest.mark.parametrize("name", ["ours", "floor"])
async def test_a_contender_stores_the_turn_that_is_measured(valkey: RedisServer, name: str) -> None:
    contender: Contender
    contender = await (ours.make if name == "ours" else floor.make)(valkey.port)
    (client,) = await contender.seed(3, 1)
    for path, body in (("/read", b'{"messages":3,"step":0}'), ("/turn", b'{"ok":true}')):
        assert (await drive.request(contender.app, path, client))[-1]["body"] == body
    answer = await drive.request(contender.app, "/read", client)
    assert answer[-1]["body"] == b'{"messages":5,"step":1}'
    await contender.close()


async def test_ours_keeps_what_the_messages_say(valkey: RedisServer) -> None:
    contender = await ours.make(valkey.port)
    (client,) = await contender.seed(1, 1)
    await drive.request(contender.app, "/turn", client)
    whole = await contender.store.get("1-0")
    assert whole is not None
    assert whole["messages"] == [message("user"), message("user"), message("assistant")]
    await contender.close()


async def test_a_request_that_fails_is_no_measurement(valkey: RedisServer) -> None:
    contender = await ours.make(valkey.port)
    clients = await contender.seed(2, 2)
    added, bare = await cost.added(contender, "/turn", clients, 1)
    assert added + bare > 0
    with pytest.raises(RuntimeError, match="answered 500"):
        await drive.dropped({"type": "http.response.start", "status": 500})
    await contender.close()


def test_a_plan_keeps_long_conversations_few() -> None:
    assert QUICK.clients(2) == QUICK.concurrency
    assert QUICK.clients(10_000) < QUICK.concurrency
