"""What a commit makes of a snapshot, told without asking the store."""

from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import MISSING, Changes, Put, Rules
from jv_session_mw.succession import snapshot_after
from tests.backends.harness import KEY, TTL_MS, appends, commit_id, same, sets

names = st.sampled_from(["a", "b", "c"])
places = st.sets(st.integers(0, 4), max_size=2)
edits = st.lists(
    st.tuples(
        st.dictionaries(names, st.binary(max_size=3)),
        st.sets(names),
        st.lists(st.binary(max_size=3), max_size=4),
    ),
    max_size=8,
)


@given(edits, st.sampled_from([0, 1, 3]), st.sampled_from([0, 1, 2, 5]))
def test_a_snapshot_after_a_commit_is_what_a_load_finds(
    commits: list[tuple[dict[str, bytes], set[str], list[bytes]]], most: int, window: int
) -> None:
    memory = Memory(Rules(TTL_MS, max_messages=most))
    snapshot = MISSING
    for fields, removed, messages in commits:
        puts = {name: Put(value, snapshot.fields.get(name)) for name, value in fields.items()}
        gone = {
            name: snapshot.fields[name]
            for name in removed
            if name in snapshot.fields and name not in fields
        }
        changes = Changes(commit_id(), snapshot.version, puts, gone, messages, birth=snapshot.birth)
        outcome = memory.commit(KEY, changes)
        found = snapshot_after(snapshot, changes, outcome, window)
        assert found is not None
        assert same(found, memory.load(KEY, window))
        snapshot = found


@given(
    st.lists(st.tuples(places, places, st.integers(0, 2), st.booleans()), max_size=8),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([0, 1, 2, 5]),
)
def test_after_an_edit_it_is_what_a_load_finds_unless_older_messages_move_up(
    commits: list[tuple[set[int], set[int], int, bool]], most: int, window: int
) -> None:
    memory = Memory(Rules(TTL_MS, max_messages=most))
    memory.commit(KEY, appends(0, b"a", b"b", b"c", b"d"))
    for replaced, dropped, appended, is_cleared in commits:
        known = memory.load(KEY, window)
        held = list(known.messages)
        dropped_here = [seq for at, (seq, _) in enumerate(held) if at in dropped]
        changes = Changes(
            commit_id(),
            known.version,
            appended=[b"new"] * appended,
            replaced={
                seq: Put(b"edited", base)
                for at, (seq, base) in enumerate(held)
                if at in replaced - dropped
            },
            dropped=dropped_here,
            cleared=held[-1][0] if is_cleared and held else 0,
            birth=known.birth,
        )
        outcome = memory.commit(KEY, changes)
        found = snapshot_after(known, changes, outcome, window)
        stored = memory.load(KEY, window)
        if found is None:
            assert len(stored.messages) > len(held) - len(dropped_here) + appended
        else:
            assert same(found, stored)


def test_a_commit_upon_somebody_elses_is_not_guessed_at() -> None:
    memory = Memory(Rules(TTL_MS))
    memory.commit(KEY, sets(a=b"1"))
    known = memory.load(KEY, 5)
    memory.commit(KEY, sets(1, b=b"2"))
    mine = Changes(commit_id(), 1, {"c": Put(b"3")}, birth=known.birth)
    assert snapshot_after(known, mine, memory.commit(KEY, mine), 5) is None
