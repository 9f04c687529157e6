"""A cluster: each command goes to the primary that has its slot, and follows redirections."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.crc import key_slot

from jv_session_mw.backends.redis.address import Node
from jv_session_mw.backends.redis.batching import Batcher, Delivery
from jv_session_mw.backends.redis.line import SingleLine
from jv_session_mw.backends.redis.waiting import Argument, Command, Reply
from jv_session_mw.errors import StoreUnavailable

SECONDS_BETWEEN_MAPS = 0.2
PAUSE_SECONDS = 0.02
LAST_SECONDS = 2 * PAUSE_SECONDS  # too little for a pause and another try
# The slot is between two owners, or has none: that may be over before the timeout is.
IN_BETWEEN = (redis_errors.TryAgainError, redis_errors.ClusterDownError)


class ClusterLine:
    """A line to a cluster, with one batcher for each node. *connect* makes the client of a node.

    The map of slots is loaded from one of the *seeds* when it is first needed. It is loaded anew,
    from any known node, when a reply says that a slot has moved, or when a node does not answer.
    Then the node that told it before is asked last, as it may be cut off from the others. A command
    that is redirected ends within its timeout all the same.
    """

    def __init__(
        self, seeds: Sequence[Node], connect: Callable[[Node], Redis], delivery: Delivery
    ) -> None:
        self._seeds = tuple(seeds)
        self._connect = connect
        self._delivery = delivery
        self._loop = asyncio.get_running_loop()
        self._lines: dict[Node, SingleLine] = {}
        self._owners: list[tuple[int, int, Node]] = []
        self._teller = self._seeds[0]
        self._mapped_at = 0.0
        self._mapping: asyncio.Task[None] | None = None
        self._is_closed = False

    async def send(self, command: Command, timeout: float, tag: bytes = b"") -> Reply:
        until = self._loop.time() + timeout
        slot = key_slot(_key(command))
        if not self._owners:
            await self._map(timeout)
        node = self._owner(slot)
        asking = False
        while True:
            line = self._line(node)
            if asking:
                _send_asking(line, timeout)
            try:
                return await line.send(command, until - self._loop.time(), tag)
            except StoreUnavailable as error:
                cause = error.__cause__
                asking = type(cause) is redis_errors.AskError  # a MovedError is one too
                if not asking:
                    self._map_soon()
                if isinstance(cause, redis_errors.AskError):
                    node = _node_in(cause, node)
                elif isinstance(cause, IN_BETWEEN) and self._loop.time() < until - LAST_SECONDS:
                    await asyncio.sleep(PAUSE_SECONDS)
                    node = self._owner(slot)
                else:
                    raise

    async def primaries(self, timeout: float) -> list[Batcher]:
        await self._map(timeout)
        nodes = {node for _, _, node in self._owners}
        return [self._line(node).batcher for node in sorted(nodes)]

    async def close(self) -> None:
        self._is_closed = True
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            mapping.cancel()
            await asyncio.wait({mapping})
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.close()

    def _owner(self, slot: int) -> Node:
        for first, last, node in self._owners:
            if first <= slot <= last:
                return node
        raise StoreUnavailable(f"no primary of the cluster has slot {slot}", reason="cluster")

    def _line(self, node: Node) -> SingleLine:
        line = self._lines.get(node)
        if line is None:
            if self._is_closed:  # a redirected command, or the task that loads the map
                raise StoreUnavailable("the store was closed", reason="connection")
            line = self._lines[node] = SingleLine(self._connect(node), self._delivery)
        return line

    def _map_soon(self) -> None:
        """Begin to load the map anew, unless that was done just now."""
        if self._mapping is not None or self._loop.time() - self._mapped_at < SECONDS_BETWEEN_MAPS:
            return
        teller, *others = self._nodes()
        self._start_mapping([*others, teller])

    def _start_mapping(self, nodes: Sequence[Node]) -> asyncio.Task[None]:
        work = self._load_map(nodes, self._delivery.give_up_after)
        mapping = self._mapping = self._loop.create_task(work)
        mapping.add_done_callback(self._mapped)
        return mapping

    def _mapped(self, mapping: asyncio.Task[None]) -> None:
        self._mapping = None
        self._mapped_at = self._loop.time()
        if not mapping.cancelled() and mapping.exception() is not None:
            self._mapped_at -= SECONDS_BETWEEN_MAPS / 2

    async def _map(self, timeout: float) -> None:
        """Load the map; all that wait for it share one load."""
        mapping = self._mapping or self._start_mapping(self._nodes())
        done, _ = await asyncio.wait({mapping}, timeout=timeout)
        if not done or mapping.cancelled():
            raise StoreUnavailable("no node has said which one has which slot", reason="timeout")
        mapping.result()

    def _nodes(self) -> list[Node]:
        """Return the nodes to ask for the map, beginning with the one that told it last."""
        known = [node for _, _, node in self._owners if node not in self._seeds]
        nodes = [*dict.fromkeys([*known, *self._seeds])]
        at = nodes.index(self._teller) if self._teller in nodes else 0
        return nodes[at:] + nodes[:at]

    async def _load_map(self, nodes: Sequence[Node], timeout: float) -> None:
        """Ask one node after another; the first that answers is believed."""
        each = timeout / 2
        failure = StoreUnavailable("no node of the cluster answers", reason="connection")
        for node in nodes:
            try:
                reply = await self._line(node).send(("CLUSTER", "SLOTS"), each)
            except StoreUnavailable as error:
                failure = error
                continue
            owners = _owners(cast("list[list[Reply]]", reply), node.host)
            if owners:
                self._owners, self._teller = owners, node
                await self._drop_strangers()
                return
            failure = StoreUnavailable("the cluster has no slots yet", reason="cluster")
        raise failure

    async def _drop_strangers(self) -> None:
        """Close the lines to nodes that are no longer primaries, unless a command waits there."""
        kept = {node for _, _, node in self._owners} | set(self._seeds)
        for node, line in list(self._lines.items()):
            if node not in kept and line.is_idle:
                del self._lines[node]
                await line.close()


def _send_asking(line: SingleLine, timeout: float) -> None:
    """Let the node take one command for a slot that is on its way to it."""
    line.send(("ASKING",), timeout).add_done_callback(_ignore)


def _key(command: Command) -> bytes:
    key: Argument = command[3] if command[0] == "EVALSHA" else command[1]
    return key.encode() if isinstance(key, str) else bytes(cast("bytes", key))


def _node_in(redirection: redis_errors.AskError, asked: Node) -> Node:
    """Return where *redirection* leads; if it names no host, that is the host that was *asked*."""
    host = cast("str", redirection.host)  # pyright: ignore[reportUnknownMemberType]
    return Node(host or asked.host, redirection.port)


def _owners(reply: list[list[Reply]], asked: str) -> list[tuple[int, int, Node]]:
    """Return which node has which slots; where the reply has no host, it is the one *asked*.

    Source: Redis documentation, CLUSTER SLOTS.
    """
    owners: list[tuple[int, int, Node]] = []
    for first, last, primary, *_ in reply:
        host, port = cast("list[Reply]", primary)[:2]
        name = cast("bytes", host or b"").decode()
        node = Node(name or asked, cast("int", port))
        owners.append((cast("int", first), cast("int", last), node))
    return owners


def _ignore(reply: asyncio.Future[Reply]) -> None:
    """Look at the failure of *reply*, if it has one, so that asyncio does not report it."""
    if not reply.cancelled():
        reply.exception()
