"""A Sentinel and a Cluster of real servers, to be failed over."""

from collections.abc import Callable

from jv_session_mw.cli.processes import poll_until
from jv_session_mw.cli.server import HOST
from tests.servers import SENTINEL, RedisServer

SERVICE = "main"
SLOTS = 16_384
SECONDS = 30.0

# A full synchronisation begins at once, and not after five seconds of waiting for more replicas.
SYNC_AT_ONCE = ("--repl-diskless-sync-delay", "0")

Make = Callable[..., RedisServer]


class Sentinels:
    """One primary with a replica, watched by three sentinels."""

    def __init__(self, make: Make) -> None:
        self._make = make
        # A primary that comes back empty before anybody has taken over empties its replicas too.
        self.servers = [make(persistent=True, options=SYNC_AT_ONCE) for _ in range(2)]
        self.servers[1].do("REPLICAOF", HOST, str(self.servers[0].port))
        self.sentinels = [make(options=SENTINEL) for _ in range(3)]
        for sentinel in self.sentinels:
            sentinel.do("SENTINEL", "MONITOR", SERVICE, HOST, str(self.servers[0].port), "2")
            for name, value in (
                ("down-after-milliseconds", "300"),
                ("failover-timeout", "2000"),
                ("parallel-syncs", "1"),
            ):
                sentinel.do("SENTINEL", "SET", SERVICE, name, value)
        self.settle()

    @property
    def url(self) -> str:
        places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{SERVICE}"

    @property
    def primary(self) -> RedisServer:
        """The server that says it is the primary."""
        return next(server for server in self.servers if server.is_primary)

    def settle(self) -> None:
        """Return when every sentinel knows the replica and the others, and it is in sync."""

        def settled() -> bool:
            known = [sentinel.info("sentinel") for sentinel in self.sentinels]
            return all("slaves=1,sentinels=3" in one and "status=ok" in one for one in known) and (
                "state=online" in self.primary.info("replication")
            )

        assert poll_until(settled, seconds=SECONDS), self.sentinels[0].info("sentinel")

    def fail_over(self) -> None:
        """Kill the primary, and return when the sentinels say that the replica has taken over."""
        old = self.primary
        old.kill()
        other = next(server for server in self.servers if server is not old)

        def taken_over() -> bool:
            told = [sentinel.info("sentinel") for sentinel in self.sentinels]
            return other.is_primary and all(f"{HOST}:{other.port}" in one for one in told)

        assert poll_until(taken_over, seconds=SECONDS)

    def repair(self) -> None:
        """Start what was killed, as the replica that it is now."""
        for server in self.servers:
            server.start()
        assert poll_until(
            lambda: sum(server.is_primary for server in self.servers) == 1, seconds=SECONDS
        )
        self.settle()


class Cluster:
    """Primaries that share the slots, each with *replicas* replicas."""

    def __init__(self, make: Make, primaries: int = 3, replicas: int = 0) -> None:
        count = primaries * (1 + replicas)
        options = (
            "--cluster-enabled", "yes", "--cluster-node-timeout", "500",
            "--cluster-replica-validity-factor", "0", *SYNC_AT_ONCE,
        )  # fmt: skip
        self.servers = [make(options=options) for _ in range(count)]
        self.primaries = self.servers[:primaries]
        bounds = [SLOTS * at // primaries for at in range(primaries + 1)]
        for at, server in enumerate(self.primaries):
            server.do("CLUSTER", "ADDSLOTSRANGE", str(bounds[at]), str(bounds[at + 1] - 1))
        for at, server in enumerate(self.servers):
            server.do("CLUSTER", "SET-CONFIG-EPOCH", str(at + 1))
            server.do("CLUSTER", "MEET", HOST, str(self.servers[0].port))
        assert poll_until(self._all_know_all, seconds=SECONDS)
        for at, server in enumerate(self.servers[primaries:]):
            _replicate(server, self.primaries[at % primaries])
        self.settle()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{server.port}" for server in self.servers)

    def settle(self) -> None:
        """Return when all nodes agree that every slot is served, and the replicas are in sync."""

        def settled() -> bool:
            running = [server for server in self.servers if server.is_running]
            return all("cluster_state:ok" in server.do("CLUSTER", "INFO") for server in running)

        assert poll_until(settled, seconds=SECONDS)
        assert poll_until(self._in_sync, seconds=SECONDS)

    def owner(self, slot: int) -> RedisServer:
        """Return the server that has *slot*."""
        for server in self.servers:
            if server.is_running and server.is_primary and _has(server, slot):
                return server
        raise AssertionError(f"nobody has slot {slot}")

    def wait_for_owner(self, slot: int) -> None:
        """Return when another primary has *slot*, after the one that had it was killed."""
        alive = [server for server in self.servers if server.is_running]

        def served() -> bool:
            return any(server.is_primary and _has(server, slot) for server in alive)

        assert poll_until(served, seconds=SECONDS)

    def move(self, slot: int, to: RedisServer) -> None:
        """Give *slot*, which holds no keys, to another primary; the others learn it by and by."""
        old = self.owner(slot)
        for server in (to, old):
            server.do("CLUSTER", "SETSLOT", str(slot), "NODE", to.node_id)

    def _all_know_all(self) -> bool:
        return all(
            f"cluster_known_nodes:{len(self.servers)}" in server.do("CLUSTER", "INFO")
            for server in self.servers
        )

    def _in_sync(self) -> bool:
        replicas = [s for s in self.servers if s.is_running and not s.is_primary]
        return all("master_link_status:up" in server.info("replication") for server in replicas)


def _replicate(server: RedisServer, primary: RedisServer) -> None:
    def accepted() -> bool:
        return server.do("CLUSTER", "REPLICATE", primary.node_id) == "+OK"

    assert poll_until(accepted, seconds=SECONDS)


def _has(server: RedisServer, slot: int) -> bool:
    own = next(line for line in server.do("CLUSTER", "NODES").splitlines() if "myself" in line)
    for part in own.split()[8:]:
        first, _, last = part.partition("-")
        if first.isdigit() and int(first) <= slot <= int(last or first):
            return True
    return False
