"""How long to wait before asking again."""

from jv_session_mw.backoff import Backoff


def test_the_longest_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 10.0, chance=lambda: 1.0)
    assert [backoff.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_the_jitter_is_full() -> None:
    backoff = Backoff(1.0, 30.0, chance=lambda: 0.0)
    assert [backoff.next() for _ in range(3)] == [0, 0, 0]
    halves = Backoff(1.0, 30.0, chance=lambda: 0.5)
    assert [halves.next() for _ in range(3)] == [0.5, 1, 2]


def test_a_delay_stays_within_the_cap_for_ever() -> None:
    backoff = Backoff(0.1, 2.0, chance=lambda: 1.0)
    assert max(backoff.next() for _ in range(5_000)) == 2.0


def test_chance_spreads_the_delays() -> None:
    delays = [Backoff(1.0, 30.0).next() for _ in range(50)]
    assert all(0 <= delay <= 1 for delay in delays)
    assert len(set(delays)) > 1
