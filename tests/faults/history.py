"""What was tried and what was acknowledged, held against what is stored in the end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

Violations = dict[str, list[str]]


class Look(NamedTuple):
    """What one client saw of one conversation."""

    client: str
    conversation: str
    version: int
    messages: list[str]


class History(Struct):
    """The messages of one run, each of which nobody else ever writes.

    A message is `conversation/client/number`, so that it says where it belongs. `tried` are those
    of which nobody knows what became. All are in the order in which it happened. `gone` counts the
    turns whose conversation was said to exist no more.
    """

    acknowledged: list[str] = []
    tried: list[str] = []
    looks: list[Look] = []
    gone: int = 0


def merged(histories: Iterable[History]) -> History:
    """Return what several processes have told, each in its own order."""
    whole = History()
    for history in histories:
        whole.acknowledged += history.acknowledged
        whole.tried += history.tried
        whole.looks += history.looks
        whole.gone += history.gone
    return whole


def violations(history: History, stored: Mapping[str, Sequence[str]]) -> Violations:
    """Name what should not be; nothing, for a run that has kept every promise.

    `lost` and `duplicated` are of messages that were acknowledged, or may be there once or not at
    all. `invented` was never written. `foreign` was seen or stored in a conversation that is not
    its own. `disordered` are clients whose acknowledged messages do not stand in their order, and
    `backward` those for which the version of a conversation went back.
    """
    counts = Counter(message for log in stored.values() for message in log)
    known = {*history.acknowledged, *history.tried}
    found = {
        "lost": [message for message in history.acknowledged if not counts[message]],
        "duplicated": [message for message, count in counts.items() if count > 1],
        "invented": [message for message in counts if message not in known],
        "foreign": list(_foreign(history, stored)),
        "disordered": list(_disordered(history, stored)),
        "backward": list(_backward(history)),
    }
    return {kind: what for kind, what in found.items() if what}


def _foreign(history: History, stored: Mapping[str, Sequence[str]]) -> Iterator[str]:
    logs = [*stored.items(), *((look.conversation, look.messages) for look in history.looks)]
    for conversation, log in logs:
        home = f"{conversation}/"
        yield from (f"{message} in {home}" for message in log if not message.startswith(home))


def _disordered(history: History, stored: Mapping[str, Sequence[str]]) -> Iterator[str]:
    order = {message: at for at, message in enumerate(history.acknowledged)}
    for log in stored.values():
        last: dict[str, int] = {}
        for message in log:
            if message not in order:
                continue
            client = message.split("/")[1]
            if order[message] < last.get(client, -1):
                yield message
            last[client] = order[message]


def _backward(history: History) -> Iterator[str]:
    last: dict[tuple[str, str], int] = {}
    for look in history.looks:
        key = (look.client, look.conversation)
        if look.version < last.get(key, 0):
            yield f"{look.conversation} for {look.client}: {look.version} after {last[key]}"
        last[key] = look.version
