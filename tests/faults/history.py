"""What was tried and what was acknowledged, held against what is stored in the end."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct


class History(Struct):
    """The messages of one run, each of which nobody else ever writes.

    A message is `conversation/writer/number`, so that it says where it belongs. `seen` holds for
    each look at a conversation its version and what was in it.
    """

    acknowledged: list[str] = []
    unknown: list[str] = []
    seen: list[tuple[str, int, list[str]]] = []


def merged(histories: Iterable[History]) -> History:
    """Return what all writers have told, each in its own order."""
    whole = History()
    for history in histories:
        whole.acknowledged += history.acknowledged
        whole.unknown += history.unknown
        whole.seen += history.seen
    return whole


def violations(history: History, stored: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Name what should not be: an empty dict for a run that has kept every promise.

    `lost` and `duplicated` are of acknowledged messages; one whose outcome is unknown may be there
    once or not at all. `foreign` stands in a conversation that is not its own, `invented` was never
    written. `backward` are conversations whose version went back for one writer, and `disordered`
    those in which the messages of one writer do not stand in their order.
    """
    found: dict[str, list[str]] = {}

    def note(kind: str, what: Iterable[str]) -> None:
        if names := list(what):
            found[kind] = names

    tried = {*history.acknowledged, *history.unknown}
    counts = Counter(message for log in stored.values() for message in log)
    note("lost", (message for message in history.acknowledged if not counts[message]))
    note("duplicated", (message for message, count in counts.items() if count > 1))
    note("invented", (message for message in counts if message not in tried))
    logs = [*stored.items(), *((name, log) for name, _, log in history.seen)]
    note(
        "foreign",
        (f"{message} in {name}" for name, log in logs for message in log if _home(message) != name),
    )
    note("disordered", (name for name, log in stored.items() if not _in_order(log)))
    note("backward", _backward(history))
    return found


def _home(message: str) -> str:
    return message.partition("/")[0]


def _in_order(log: Sequence[str]) -> bool:
    last: dict[str, int] = {}
    for message in log:
        _, writer, number = message.split("/")
        if int(number) < last.get(writer, -1):
            return False
        last[writer] = int(number)
    return True


def _backward(history: History) -> Iterable[str]:
    last: dict[str, int] = {}
    for name, version, _ in history.seen:
        if version < last.get(name, 0):
            yield f"{name}: {version} after {last[name]}"
        last[name] = version
