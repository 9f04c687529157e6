"""Promise: what cannot be read is an error, and is still there afterwards, byte for byte."""

import pickle
from collections.abc import Callable

import pytest

from tests.promises.clients import Visitor
from tests.promises.conftest import GetServer, Visit
from tests.promises.database import Database
from tests.promises.serving import KINDS

Damage = Callable[[Database, str], object]


def replaced_by_string(database: Database, key: str) -> None:
    database.do("SET", key, b"somebody else's")


def replaced_by_set(database: Database, key: str) -> None:
    database.do("DEL", key)
    database.do("SADD", key, "a", "b")


def log_replaced_by_string(database: Database, key: str) -> None:
    database.do("SET", f"{key}:m", b"somebody else's")


def log_replaced_by_hash(database: Database, key: str) -> None:
    database.do("DEL", f"{key}:m")
    database.do("HSET", f"{key}:m", "a", "b")


def foreign_hash(database: Database, key: str) -> None:
    database.do("DEL", key)
    database.do("HSET", key, "user", "7", "data", pickle.dumps({"a": 1}))


# What the first look at a conversation finds out.
VISIBLE: dict[str, Damage] = {
    "string": replaced_by_string,
    "set": replaced_by_set,
    "log is a string": log_replaced_by_string,
    "log is a hash": log_replaced_by_hash,
    "foreign hash": foreign_hash,
    "newer layout": lambda database, key: database.do("HSET", key, "@", "4 1 1 1 0 a a=1,1,0"),
    "no meta": lambda database, key: database.do("HDEL", key, "@"),
    "no version": lambda database, key: database.do("HSET", key, "@", "3  1 1 0 a a=1,1,0"),
    "version is no number": lambda database, key: database.do(
        "HSET", key, "@", "3 x 1 1 0 a a=1,1,0"
    ),
    "newer codec": lambda database, key: database.do("HSET", key, ".mark", b'j2;"newer"'),
    "no codec": lambda database, key: database.do("HSET", key, ".mark", b"\xff\xfe\x00"),
    "pickle": lambda database, key: database.do("HSET", key, ".mark", pickle.dumps({"a": 1})),
    "empty value": lambda database, key: database.do("HSET", key, ".mark", b""),
    "field name": lambda database, key: database.do("HSET", key, b".\xff", b'j1;"a"'),
    "foreign message": lambda database, key: database.do("RPUSH", f"{key}:m", b"hello"),
    "message of a newer codec": lambda database, key: database.do(
        "RPUSH", f"{key}:m", b'2:j2;{"a":1}'
    ),
}

# What begins well, and is found out by whoever looks at the value.
HIDDEN: dict[str, Damage] = {
    "truncated": lambda database, key: database.do("HSET", key, ".mark", b'j1;{"a": [1, 2'),
    "not UTF-8": lambda database, key: database.do("HSET", key, ".mark", b'j1;"\xff\xfe"'),
    "unknown tag": lambda database, key: database.do(
        "HSET", key, ".mark", b't1;{"$t":"file","v":1}'
    ),
    "bad tag": lambda database, key: database.do("HSET", key, ".mark", b't1;{"$t":"uuid","v":"x"}'),
    "tag without value": lambda database, key: database.do(
        "HSET", key, ".mark", b't1;{"$t":"uuid"}'
    ),
    "tag of another type": lambda database, key: database.do(
        "HSET", key, ".mark", b't1;{"$t":[],"v":1}'
    ),
    "too deep": lambda database, key: database.do("HSET", key, ".mark", b"j1;" + b"[" * 100_000),
    "truncated message": lambda database, key: database.do("RPUSH", f"{key}:m", b'2:j1;{"role":'),
}


def damaged(visitor: Visitor, database: Database, damage: Damage) -> str:
    """Begin a conversation, damage what is stored, and return the key of its hash."""
    visitor.turn("endpoint", "before")
    key = database.conversation
    damage(database, key)
    return key


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", VISIBLE.values(), ids=list(VISIBLE))
def test_what_cannot_be_loaded_is_an_error_and_stays(
    shared_servers: GetServer, visit: Visit, database: Database, damage: Damage, kind: str
) -> None:
    visitor = visit(shared_servers(kind))
    damaged(visitor, database, damage)
    before, token = database.dump(), visitor.ticket.token
    for method, path in (
        ("GET", "/read"),
        ("POST", "/append-only?mark=new"),
        ("POST", "/endpoint?mark=new"),
        ("POST", "/stream?mark=new"),
    ):
        answer = visitor.ask(method, path)
        assert answer.status == 500
        assert not answer.all("set-cookie")
        assert b"before" not in answer.body
        assert database.dump() == before
    assert visitor.ticket.token == token


@pytest.mark.parametrize("damage", HIDDEN.values(), ids=list(HIDDEN))
def test_what_cannot_be_decoded_is_an_error_when_it_is_looked_at_and_stays(
    shared_servers: GetServer, visit: Visit, database: Database, damage: Damage
) -> None:
    server = shared_servers("uvicorn-h11")
    visitor = visit(server)
    damaged(visitor, database, damage)
    before = database.dump()
    for method, path in (("GET", "/read"), ("POST", "/endpoint?mark=new")):
        # The handler raises, and a server closes the connection of a handler that has raised.
        again = visit(server)
        again.ticket.token = visitor.ticket.token
        assert again.ask(method, path).status == 500
        assert database.dump() == before


@pytest.mark.parametrize("damage", HIDDEN.values(), ids=list(HIDDEN))
def test_a_turn_that_does_not_look_at_it_leaves_it_as_it_is(
    shared_servers: GetServer, visit: Visit, database: Database, damage: Damage
) -> None:
    visitor = visit(shared_servers("uvicorn-h11"))
    key = damaged(visitor, database, damage)
    field, log = database.do("HGET", key, ".mark"), database.do("LRANGE", f"{key}:m", 0, -1)
    log_length = database.do("LLEN", f"{key}:m")
    assert isinstance(log_length, int)
    visitor.ask("POST", "/append-only?mark=new")
    assert database.do("HGET", key, ".mark") == field
    assert database.do("LRANGE", f"{key}:m", 0, log_length - 1) == log


@pytest.mark.parametrize("path", ["/stream?mark=new", "/endpoint?mark=new"])
@pytest.mark.parametrize("damage", [replaced_by_string, log_replaced_by_string, foreign_hash])
def test_what_turned_foreign_during_a_turn_is_not_overwritten_by_its_commit(
    shared_servers: GetServer, visit: Visit, database: Database, damage: Damage, path: str
) -> None:
    """A WebSocket has loaded the conversation long before its commit."""
    visitor = visit(shared_servers("uvicorn-h11"))
    visitor.turn("endpoint", "before")
    with visitor.socket() as websocket:
        websocket.send("read")
        websocket.recv()
        key = database.conversation
        damage(database, key)
        before = database.dump()
        websocket.send("new")
        websocket.recv()
    assert visitor.ask("POST", path).status == 500
    assert database.dump() == before


def test_a_new_visitor_is_served_beside_data_that_cannot_be_read(
    shared_servers: GetServer, visit: Visit, database: Database
) -> None:
    server = shared_servers("uvicorn-h11")
    damaged(visit(server), database, replaced_by_string)
    newcomer = visit(server)
    newcomer.turn("endpoint", "new")
    assert newcomer.ask("GET", "/read").status == 200
    assert "conversation store away" not in server.log
