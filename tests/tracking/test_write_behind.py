"""What is noted is written once, in order, whatever becomes of a batch."""

import asyncio
import logging
import threading

import pytest

from jv_session_mw.errors import SchemaMissing, TrackerUnavailable
from jv_session_mw.tracking.write_behind import WriteBehind
from tests.promises.serving import eventually
from tests.tracking.writing import AN_HOUR, AWAY, Database, behind, note


@pytest.fixture
async def database() -> Database:
    return Database()


async def test_a_batch_whose_reply_was_lost_counts_once(database: Database) -> None:
    writer = behind(database)
    database.loses_replies = True
    database.failures = [AWAY, AWAY, AWAY]
    note(writer, "a", 2)
    for _ in range(3):
        with pytest.raises(TrackerUnavailable):
            await writer.drain()
        note(writer, "a", 1)  # which must not join what may have been applied
    await writer.drain()
    assert database.counts == {"a": 5}
    assert len(database.batches) == 2
    assert (writer.stats.pending, writer.stats.retried) == (0, 3)


async def test_what_waits_is_written_by_itself_and_after_a_failure(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    writer = behind(database, interval=0.001)
    database.failures = [AWAY]
    note(writer, "a")
    await eventually(lambda: database.counts == {"a": 1})
    await eventually(lambda: writer.stats.last_error is None)
    note(writer, "a")
    await eventually(lambda: database.counts == {"a": 2})
    said = [record.levelname for record in caplog.records]
    assert said == ["WARNING", "INFO"]


async def test_a_lasting_failure_is_one_warning(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer = behind(database)
    database.failures = [AWAY, AWAY, AWAY, SchemaMissing("migrate"), None]
    note(writer, "a")
    for kind in (TrackerUnavailable, TrackerUnavailable, TrackerUnavailable, SchemaMissing):
        with pytest.raises(kind):
            await writer.drain()
    assert writer.stats.last_error == "migrate"
    await writer.drain()
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2


async def test_poison_is_dropped_alone(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer = behind(database)
    database.poison = {"s3", "s7"}
    for n in range(10):
        note(writer, f"s{n}")
    await writer.drain()
    assert database.counts == {f"s{n}": 1 for n in range(10) if n not in (3, 7)}
    stats = writer.stats
    assert (stats.pending, stats.flushed, stats.dropped) == (0, 8, 2)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_poison_holds_up_nobody_when_the_database_fails_between(database: Database) -> None:
    writer = behind(database)
    database.poison = {"s3"}
    database.failures = [None, AWAY, None, AWAY]
    for n in range(10):
        note(writer, f"s{n}")
    while writer.stats.pending:
        try:
            await writer.drain()
        except TrackerUnavailable:
            note(writer, "s1")
    assert database.counts == {f"s{n}": 1 + 2 * (n == 1) for n in range(10) if n != 3}


async def test_what_is_on_its_way_is_waited_for(database: Database) -> None:
    writer = behind(database)
    note(writer, "a")
    database.may_answer.clear()
    first = asyncio.create_task(writer.drain())
    await database.waits.wait()
    note(writer, "a")
    second = asyncio.create_task(writer.drain(lambda key: key == ("", "a")))
    await asyncio.sleep(0)
    assert not second.done()
    database.may_answer.set()
    await asyncio.gather(first, second)
    assert database.counts == {"a": 2}


async def test_whoever_is_cancelled_leaves_the_batch_to_the_next(database: Database) -> None:
    writer = behind(database)
    note(writer, "a")
    database.may_answer.clear()
    draining = asyncio.create_task(writer.drain())
    await database.waits.wait()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert writer.stats.pending == 1
    database.may_answer.set()
    await writer.drain()
    assert database.counts == {"a": 1}


async def test_close_writes_what_waits_and_says_what_is_lost(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer = behind(database)
    note(writer, "a")
    assert (await writer.close(5)).pending == 0
    assert database.counts == {"a": 1}
    database.may_answer.clear()
    note(writer, "a")
    note(writer, "b")
    assert (await writer.close(0.01)).pending == 2
    assert "2 chat sessions is lost" in caplog.text


async def test_after_a_close_it_goes_on(database: Database) -> None:
    writer = behind(database, interval=0.001)
    note(writer, "a")
    await writer.close(5)
    note(writer, "a")
    await eventually(lambda: database.counts == {"a": 2})


async def test_a_hurried_one_does_not_wait_for_its_interval(database: Database) -> None:
    writer = behind(database)
    note(writer, "a")
    await asyncio.sleep(0)
    writer.hurry()
    await eventually(lambda: database.counts == {"a": 1})
    note(writer, "b")
    await eventually(lambda: database.counts == {"a": 1, "b": 1})


async def test_threads_may_note(database: Database) -> None:
    writer = behind(database, interval=0.001)
    note(writer, "a")

    def work() -> None:
        for _ in range(1000):
            note(writer, "a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await eventually(lambda: database.counts == {"a": 4001})


async def test_a_thread_may_note_while_the_background_task_ends() -> None:
    class Ending(WriteBehind):
        """Has a task at each first look, and none at the second."""

        looks = 0

        @property
        def _task(self) -> asyncio.Task[None] | None:
            self.looks += 1
            return asyncio.current_task() if self.looks % 2 else None

        @_task.setter
        def _task(  # pyright: ignore[reportIncompatibleVariableOverride]
            self, task: asyncio.Task[None] | None
        ) -> None: ...

    writer = Ending(Database().send, interval=AN_HOUR, max_batch=10, max_pending=10)
    assert note(writer, "a")


def test_what_one_event_loop_has_left_the_next_one_writes() -> None:
    database = Database()
    writer = behind(database, interval=AN_HOUR)

    async def first() -> None:
        note(writer, "a")

    async def second() -> None:
        note(writer, "a")
        await writer.drain()

    asyncio.run(first())
    note(writer, "a")  # in no event loop at all
    asyncio.run(second())
    assert database.counts == {"a": 3}


def test_a_loop_that_runs_no_more_holds_up_nobody() -> None:
    database = Database()
    writer = behind(database, interval=0.0001)
    first = asyncio.new_event_loop()  # which nobody closes

    async def second() -> None:
        note(writer, "a")
        await eventually(lambda: database.counts == {"a": 2})

    async def begin() -> None:
        note(writer, "a")

    first.run_until_complete(begin())
    database.may_answer, database.waits = asyncio.Event(), asyncio.Event()
    database.may_answer.set()
    asyncio.run(second())
    first.close()


async def test_another_loop_that_runs_beside_waits_for_what_is_on_its_way(
    database: Database,
) -> None:
    writer = behind(database)
    note(writer, "a")
    database.may_answer.clear()
    draining = asyncio.create_task(writer.drain())
    await database.waits.wait()
    beside = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(writer.drain())))
    done, _ = await asyncio.wait({beside}, timeout=0.1)
    assert not done
    database.may_answer.set()
    await asyncio.gather(draining, beside)
    assert database.counts == {"a": 1}
    assert database.sizes == [1]


async def test_a_close_in_another_loop_ends_what_goes_on_in_the_first(database: Database) -> None:
    writer = behind(database, interval=AN_HOUR)
    before = asyncio.all_tasks()
    note(writer, "a")
    closing = asyncio.to_thread(lambda: asyncio.run(writer.close(AN_HOUR)))
    await asyncio.wait_for(closing, 20)
    assert database.counts == {"a": 1}
    await eventually(lambda: asyncio.all_tasks() == before)


def test_a_flush_that_its_loop_has_cut_off_is_sent_again() -> None:
    database = Database()
    writer = behind(database, interval=0.0001)

    async def first() -> None:
        database.may_answer = asyncio.Event()
        note(writer, "a")
        await database.waits.wait()

    async def second() -> None:
        database.may_answer = asyncio.Event()
        database.may_answer.set()
        note(writer, "b")
        await eventually(lambda: database.counts == {"a": 1, "b": 1})

    database.waits = asyncio.Event()
    asyncio.run(first())
    database.waits = asyncio.Event()
    asyncio.run(second())


async def test_a_bug_in_the_way_ends_no_later_flush(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer = behind(database, interval=0.001)
    database.failures = [RuntimeError("a bug")]
    note(writer, "a")
    await eventually(lambda: "unexpectedly" in caplog.text)
    note(writer, "a")
    await eventually(lambda: database.counts == {"a": 2})


async def test_what_the_database_refuses_is_counted(database: Database) -> None:
    writer = behind(database)
    note(writer, "ended")
    note(writer, "a")
    await writer.drain()
    assert (writer.stats.refused, writer.stats.flushed) == (1, 1)
