"""The servers that the other tests break: they are what they are called, and break as said."""

import socket
from collections.abc import Callable

import pytest

from tests.servers import RedisServer

VERSIONS = {"valkey-9": "Valkey 9.", "redis-6.2": "Redis 6.2.", "redis-7": "Redis 7."}


def test_each_kind_is_the_version_it_is_called(redis_server: RedisServer) -> None:
    running = redis_server.inspect()
    assert running is not None
    assert running.version.startswith(VERSIONS[redis_server.kind])


@pytest.mark.parametrize("_round", [1, 2])
def test_a_shared_server_is_empty_when_a_test_begins(valkey: RedisServer, _round: int) -> None:
    assert valkey.ask("DBSIZE") == ":0"
    valkey.ask("SET key value")


def test_a_killed_server_refuses_connections(own_valkey: RedisServer) -> None:
    own_valkey.kill()
    with pytest.raises(ConnectionRefusedError):
        own_valkey.ask("PING")


def test_a_killed_server_comes_back_at_its_port_and_is_empty(own_valkey: RedisServer) -> None:
    own_valkey.ask("SET key value")
    url = own_valkey.url
    own_valkey.restart()
    assert own_valkey.url == url
    assert own_valkey.ask("DBSIZE") == ":0"


def test_a_persistent_server_keeps_its_data(new_valkey: Callable[..., RedisServer]) -> None:
    server = new_valkey(persistent=True)
    server.ask("SET key value")
    server.restart()
    assert server.ask("GET key") == "value"


def test_a_frozen_server_accepts_and_stays_silent(own_valkey: RedisServer) -> None:
    own_valkey.freeze()
    with socket.create_connection(("127.0.0.1", own_valkey.port), timeout=0.2) as connection:
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        own_valkey.thaw()
        connection.settimeout(5)
        assert connection.recv(7) == b"+PONG\r\n"


def test_a_frozen_server_can_be_killed(own_valkey: RedisServer) -> None:
    own_valkey.freeze()
    own_valkey.restart()
    assert own_valkey.ask("PING") == "+PONG"
