"""Environment -> Settings: the names and defaults, and what cannot be read by its name."""

import pytest

from jv_session_mw import ConfigurationError
from jv_session_mw.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings(
        url=None, host="localhost", port=6379, password=None, db=0, ttl_seconds=3600, secret_keys=()
    )


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "REDIS_URL": "rediss://host:1/2",
            "REDIS_HOST": "host",
            "REDIS_PORT": "6380",
            "REDIS_PASSWORD": "secret",
            "REDIS_DB": "3",
            "REDIS_CONVERSATION_TTL": "1.5",
            "JV_SESSION_SECRET_KEYS": "newest, old ,,oldest",
        }
    )
    assert settings == Settings(
        url="rediss://host:1/2",
        host="host",
        port=6380,
        password="secret",
        db=3,
        ttl_seconds=1.5,
        secret_keys=("newest", "old", "oldest"),
    )


@pytest.mark.parametrize(
    "name",
    [
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_DB",
        "REDIS_CONVERSATION_TTL",
        "JV_SESSION_SECRET_KEYS",
    ],
)
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    assert Settings.from_env({name: ""}) == Settings()


@pytest.mark.parametrize("name", ["REDIS_PORT", "REDIS_DB", "REDIS_CONVERSATION_TTL"])
@pytest.mark.parametrize("text", ["abc", "-1", "nan", "inf", "1e400", "0x10", "6379;", "1e", "--1"])
def test_what_is_no_number_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refused:
        Settings.from_env({name: text})
    assert repr(text) in str(refused.value)


def test_the_port_of_a_kubernetes_service_is_that_of_its_address() -> None:
    assert Settings.from_env({"REDIS_PORT": "tcp://10.96.0.1:6380"}).port == 6380
    with pytest.raises(ConfigurationError, match="REDIS_PORT"):
        Settings.from_env({"REDIS_PORT": "tcp://10.96.0.1"})


@pytest.mark.parametrize("text", ["0", "0.0", "-0", "99999999999", "inf"])
def test_a_ttl_is_positive_and_a_century_at_most(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REDIS_CONVERSATION_TTL.*century at most"):
        Settings.from_env({"REDIS_CONVERSATION_TTL": text})


@pytest.mark.parametrize(("name", "text"), [("REDIS_PORT", "1.5"), ("REDIS_DB", "1.5")])
def test_a_port_and_a_database_are_whole(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_env({name: text})


@pytest.mark.parametrize("text", ["0", "65536", "70000"])
def test_a_port_is_one_that_exists(text: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_PORT"):
        Settings.from_env({"REDIS_PORT": text})


def test_settings_show_no_secret() -> None:
    settings = Settings.from_env(
        {
            "REDIS_URL": "redis://:secret@host",
            "REDIS_PASSWORD": "secret",
            "JV_SESSION_SECRET_KEYS": "secret",
            "SUPABASE_SERVICE_KEY": "secret",
        }
    )
    assert "secret" not in f"{settings} {settings!r}"
