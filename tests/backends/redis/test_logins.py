"""Every way in: users and passwords, providers of credentials, certificates, sockets."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider

from jv_session_mw import ConfigurationError, RedisConversationStore, StoreUnavailable
from jv_session_mw.cli.server import HOST, free_port
from tests.promises.conftest import PATIENT_SECONDS
from tests.servers import KINDS, RedisServer, find_binary
from tests.topologies import Cluster

Make = Callable[..., RedisServer]
ROOT = Path(__file__).parents[3]
KIND = "redis-7"  # the only one that is built with TLS


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path: that of a socket has 107 bytes at most (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="jv-") as name:
        yield Path(name)


@pytest.fixture
def secured(new_valkey: Make) -> RedisServer:
    """A server that lets in only the user `chat` with the password `s3cret%`."""
    server = new_valkey()
    server.do("ACL", "SETUSER", "chat", "on", ">s3cret%", "~conv:*", "+@all")
    server.do("ACL", "SETUSER", "default", "off")
    return server


async def works(**options: object) -> bool:
    store = RedisConversationStore(fallback=None, deadline=5.0, **options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    async with store:
        await store.set("id", {"a": 1})
        return await store.get("id") == {"a": 1}


async def test_a_user_and_a_password_get_in_from_the_url_or_as_arguments(
    secured: RedisServer,
) -> None:
    assert await works(url=f"redis://chat:s3cret%25@{HOST}:{secured.port}")
    assert await works(host=HOST, port=secured.port, username="chat", password="s3cret%")


async def test_a_provider_of_credentials_is_asked(secured: RedisServer) -> None:
    asked = 0

    class Provider(UsernamePasswordCredentialProvider):
        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            nonlocal asked
            asked += 1
            return ("chat", "s3cret%")

    assert await works(url=f"redis://{HOST}:{secured.port}", credential_provider=Provider())
    assert asked > 0


@pytest.mark.parametrize("failure", [RuntimeError("no token"), KeyError("no token")])
async def test_a_provider_of_credentials_that_fails_is_what_the_error_names(
    valkey: RedisServer, failure: Exception
) -> None:
    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            raise failure

    store = RedisConversationStore(
        url=valkey.url, credential_provider=Provider(), fallback=None, deadline=PATIENT_SECONDS
    )
    with pytest.raises(StoreUnavailable, match=f"{type(failure).__name__}: .*no token"):
        await store.get("id")
    await store.close()


def test_credentials_from_two_places_are_refused() -> None:
    provider = UsernamePasswordCredentialProvider("chat", "s3cret%")
    with pytest.raises(ConfigurationError, match="credential_provider"):
        RedisConversationStore(password="other", credential_provider=provider)


async def test_a_socket_leads_to_the_server(new_valkey: Make, folder: Path) -> None:
    path = folder / "s"
    new_valkey(options=("--unixsocket", str(path)))
    assert await works(url=f"unix://{path}?db=2")


async def test_certificates_of_both_sides_are_checked(new_valkey: Make, folder: Path) -> None:
    if find_binary(KIND) is None:
        new_valkey(KIND)  # which says that it is missing
    own, key = certificate(folder)
    port = free_port()
    new_valkey(KIND, options=(
        "--tls-port", str(port), "--tls-cert-file", str(own), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(own), "--tls-auth-clients", "yes",
    ))  # fmt: skip
    trusting = f"rediss://{HOST}:{port}?ssl_ca_certs={own}"
    assert await works(url=f"{trusting}&ssl_certfile={own}&ssl_keyfile={key}")
    for without in (trusting, f"rediss://{HOST}:{port}?ssl_certfile={own}&ssl_keyfile={key}"):
        async with RedisConversationStore(url=without, deadline=5.0) as store:
            health = await store.get_health()
        assert not health.connected
        assert health.last_error is not None  # by TLS 1.3 the refusal may come as a reset


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that signs itself, and its key."""
    own, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{HOST}",
         "-keyout", key, "-out", own],
        check=True, capture_output=True,
    )  # fmt: skip
    return own, key


def documented_rights(*to_leave_out: str) -> list[str]:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    section = text.partition("### The rights of a user")[2].partition("###")[0]
    return [right for right in re.findall(r"\+[a-z|]+", section) if right not in to_leave_out]


async def does_everything(url: str, **options: int) -> bool:
    """Use all that needs a right, and say whether the server had what was stored."""
    store = RedisConversationStore(url=url, fallback=None, deadline=5.0, **options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    async with store:
        await store.set("id", {"a": 1, "messages": [{"n": n} for n in range(4)]})
        await store.set("id", {"b": 1, "messages": [{"n": n} for n in range(2)]})
        async with store.open("id") as conversation:
            conversation.messages[0] = {"n": "edited"}
            del conversation.messages[1]
        async with store.open("id") as conversation:
            conversation.messages.clear()
            conversation.messages.append({"n": "anew"})
            await conversation.save()
            await conversation.rotate()
        existed = [await store.refresh_ttl(id) for id in await store.keys()]
        await store.delete("id")
        await store.set("id", {"a": "revived"})
        assert await store.has("id")
        await store.clear()
    return existed == [True]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_rights_that_the_docs_name_are_enough(new_valkey: Make, kind: str) -> None:
    server = new_valkey(kind)
    rights = documented_rights("+wait", "+cluster|slots", "+asking", "+sentinel|masters")
    server.do("ACL", "SETUSER", "chat", "on", ">s3cret", "~conv:*", *rights)
    assert await does_everything(f"redis://chat:s3cret@{HOST}:{server.port}/1", max_messages=9)


async def test_the_rights_that_the_docs_name_are_enough_in_a_cluster(new_valkey: Make) -> None:
    cluster = Cluster(new_valkey)
    rights = documented_rights("+wait", "+select", "+sentinel|masters")
    for server in cluster.servers:
        server.do("ACL", "SETUSER", "chat", "on", ">s3cret", "~conv:*", *rights)
    assert await does_everything(cluster.url.replace("//", "//chat:s3cret@"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["hgetall", "hmget", "llen", "rpush"])
async def test_a_command_that_the_user_may_not_run_is_named_and_not_taken_for_corruption(
    new_valkey: Make, kind: str, command: str
) -> None:
    server = new_valkey(kind)
    server.do("ACL", "SETUSER", "chat", "on", ">s3cret", "~conv:*", "+@all", f"-{command}")
    url = f"redis://chat:s3cret@{HOST}:{server.port}"
    async with RedisConversationStore(url=url, fallback=None, deadline=5.0) as store:
        with pytest.raises(StoreUnavailable) as refused:
            await store.set("id", {"messages": [{"role": "user"}]})
    assert refused.value.reason == "permission"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["EVALSHA", "HMGET"])
async def test_a_command_that_the_server_does_not_have_is_named_without_the_id_and_the_owner(
    new_valkey: Make, kind: str, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = new_valkey(kind, options=("--rename-command", command, ""))
    async with RedisConversationStore(url=server.url, fallback=None, deadline=5.0) as store:
        with pytest.raises(StoreUnavailable, match=r"(?i)unknown .*command") as refused:
            await store.set("my-id", {"a": 1}, owner="ada")
        health = await store.get_health()
    assert refused.value.reason == "permission"
    told = f"{refused.value} {health} {caplog.text}"
    assert "my-id" not in told
    assert "ada" not in told


async def test_a_user_who_may_not_load_scripts_is_told_so(new_valkey: Make) -> None:
    server = new_valkey()
    server.do("ACL", "SETUSER", "chat", "on", ">s3cret", "~conv:*", "+@all", "-script|load")
    url = f"redis://chat:s3cret@{HOST}:{server.port}"
    async with RedisConversationStore(url=url, fallback=None, deadline=5.0) as store:
        with pytest.raises(StoreUnavailable, match=r"NoScript.*needs \+script\|load"):
            await store.get("id")


def test_a_client_whose_connections_cannot_be_made_is_refused_at_start() -> None:
    provider = UsernamePasswordCredentialProvider("ada", "secret")
    client = Redis(password="another")
    with pytest.raises(ConfigurationError, match="credential_provider"):
        RedisConversationStore(client=client, credential_provider=provider)
    with pytest.raises(ConfigurationError, match="bogus"):
        RedisConversationStore(url="rediss://localhost/0?ssl_cert_reqs=bogus")
