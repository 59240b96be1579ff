"""A wrong variable is one sentence that names it and the mend."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.settings.env_files import with_env_files
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY, read_environment
from scalix_callbacks.settings.errors import SettingsError
from scalix_callbacks.settings.misspelled import misspelled
from scalix_callbacks.settings.variables import SETTINGS

KEY = "sk-0123456789abcdef"
WEAK = (
    "LITELLM_MASTER_KEY: too weak. Set at least 16 varied characters (openssl rand -hex 24 makes some), or"
    " unset it to have one made."
)

WRONG = [
    ({"LITELLM_MASTER_KEY": "sk-1234"}, WEAK),
    ({"LITELLM_MASTER_KEY": "a" * 40}, WEAK),
    (
        {"LITELLM_MASTER_KEY": DEMO_MASTER_KEY},
        "LITELLM_MASTER_KEY: this key is published and works with --demo only. Set a secret one.",
    ),
    (
        {"LITELLM_MASTER_KEY": "0123456789 abcdef"},
        "LITELLM_MASTER_KEY: holds white space or characters that no header can carry. Set another one.",
    ),
    (
        {"LITELLM_MASTER_KEY": "0123456789äbcdef"},
        "LITELLM_MASTER_KEY: holds white space or characters that no header can carry. Set another one.",
    ),
    (
        {"LITELLM_MASTER_KEY": "scalix_0123456789abcdef"},
        "LITELLM_MASTER_KEY: users' keys begin with scalix_, the operator's must not. Set another one.",
    ),
    (
        {"LITELLM_PORT": "http"},
        "LITELLM_PORT: 'http' must be a whole number from 0 to 65535. Correct it.",
    ),
    ({"LITELLM_PORT": "70000"}, "LITELLM_PORT: '70000' must be a whole number from 0 to 65535. Correct it."),
    ({"LITELLM_PORT": "-1"}, "LITELLM_PORT: '-1' must be a whole number from 0 to 65535. Correct it."),
    (
        {"LITELLM_PORT": "4000.5"},
        "LITELLM_PORT: '4000.5' must be a whole number from 0 to 65535. Correct it.",
    ),
    ({"LITELLM_PORT": "٤٠٠٠"}, "LITELLM_PORT: '٤٠٠٠' must be a whole number from 0 to 65535. Correct it."),
    (
        {"LITELLM_PORT": "0000000000004000999"},
        "LITELLM_PORT: '0000000000004000999' must be a whole number from 0 to 65535. Correct it.",
    ),
    (
        {"LITELLM_PORT": "9" * 5_000},
        f"LITELLM_PORT: '{'9' * 59}… must be a whole number from 0 to 65535. Correct it.",
    ),
    (
        {"LITELLM_MAX_WORKERS": "0"},
        "LITELLM_MAX_WORKERS: '0' must be a whole number from 1 to 64. Correct it.",
    ),
    (
        {"SCALIX_CACHE_MB": "31"},
        "SCALIX_CACHE_MB: too little. Write 32 or more, or 0 to cache no answers.",
    ),
    (
        {"LITELLM_HOST": "http://localhost"},
        "LITELLM_HOST: 'http://localhost' is no address to listen on. Write e.g. 127.0.0.1 or 0.0.0.0.",
    ),
    *(
        (
            {"REDIS_URL": url},
            "REDIS_URL: must begin with redis://, rediss:// or unix://, with redis+cluster:// for a cluster,"
            " or with redis+sentinel:// for Sentinels. Correct it.",
        )
        for url in ("localhost:6379", "redis://")
    ),
    *(
        (
            {"REDIS_URL": f"redis+cluster://{places}"},
            "REDIS_URL: a host or port of it is none. Write e.g."
            " redis+cluster://host-1:6379,host-2:6379,host-3:6379.",
        )
        for places in ("", "a,,b", "a:x", "a:0", "user:secret-word@")
    ),
    (
        {"REDIS_URL": "redis+cluster://a,b/3"},
        "REDIS_URL: a cluster has database 0 alone. Take off what stands behind the hosts.",
    ),
    (
        {"REDIS_URL": "redis+sentinel://a,b"},
        "REDIS_URL: must end with the name by which Sentinel knows the master. Write e.g."
        " redis+sentinel://host-1:26379,host-2:26379,host-3:26379/mymaster.",
    ),
    (
        {"REDIS_CLUSTER_NODES": '[{"host": "a", "port": 6379}]'},
        "REDIS_CLUSTER_NODES: only LiteLLM reads it. Write REDIS_URL=redis+cluster://host:port,host:port.",
    ),
    (
        {"REDIS_URL": "redis://host:port/0"},
        "REDIS_URL: its host or port is none. Write e.g. redis://host:6379/0.",
    ),
    (
        {"REDIS_URL": "redis://[::1"},
        "REDIS_URL: its host or port is none. Write e.g. redis://host:6379/0.",
    ),
    (
        {"REDIS_HOST": "redis://host"},
        "REDIS_HOST: 'redis://host' is no host. Write its name, or set REDIS_URL.",
    ),
    (
        {"REDIS_HOST": "h", "REDIS_PORT": "x"},
        "REDIS_PORT: 'x' must be a whole number from 1 to 65535. Correct it.",
    ),
    ({"SCALIX_ENV": "prod"}, "SCALIX_ENV: 'prod' is unknown. Write one of production, development."),
    ({"DEBUG_MODE": "maybe"}, "DEBUG_MODE: 'maybe' is neither true nor false. Correct it."),
    (
        {"DEBUG_MODE": "true"},
        "DEBUG_MODE: needs SCALIX_ENV=development, for its logs show too much. Set both or none.",
    ),
    (
        {"SCALIX_ENV": "development", "LITELLM_HOST": "0.0.0.0"},
        "SCALIX_ENV: development lets every caller simulate failures, and LITELLM_HOST '0.0.0.0' serves other"
        " machines. Listen on 127.0.0.1, or set SCALIX_ENV=production.",
    ),
    (
        {"SCALIX_TRACE_MB": "3"},
        "SCALIX_TRACE_MB: too little. Write 4 or more, or 0 to keep no traces.",
    ),
    (
        {"SCALIX_TRACE_PERCENT": "101"},
        "SCALIX_TRACE_PERCENT: '101' must be a whole number from 0 to 100. Correct it.",
    ),
    (
        {"SCALIX_OTEL": "true"},
        "SCALIX_OTEL: OTEL_EXPORTER_OTLP_ENDPOINT must say where spans go, e.g. http://127.0.0.1:4318."
        " Set it, or leave SCALIX_OTEL out.",
    ),
    (
        {
            "SCALIX_OTEL": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        },
        "OTEL_EXPORTER_OTLP_PROTOCOL: spans go by http/protobuf alone. Leave it out.",
    ),
    (
        {"LITELLM_LOG_LEVEL": "loud"},
        "LITELLM_LOG_LEVEL: 'LOUD' is unknown. Write one of DEBUG, INFO, WARNING, ERROR.",
    ),
    (
        {"SCALIX_MAX_BODY_MB": "0"},
        "SCALIX_MAX_BODY_MB: '0' must be a whole number from 1 to 100. Correct it.",
    ),
    (
        {"SCALIX_TRUSTED_PROXIES": "10.0.0.0/8, 10.0.0.1/8"},
        "SCALIX_TRUSTED_PROXIES: '10.0.0.1/8' is no network. Write e.g. 10.0.0.0/8, with commas between"
        " several.",
    ),
    (
        {"SCALIX_TRUSTED_PROXIES": ",".join(["10.0.0.1"] * 65)},
        "SCALIX_TRUSTED_PROXIES: holds more than 64 networks. Write fewer, wider ones.",
    ),
    (
        {"SCALIX_METRICS_NETWORKS": "10.0.0.1/8"},
        "SCALIX_METRICS_NETWORKS: '10.0.0.1/8' is no network. Write e.g. 10.0.0.0/8, with commas between"
        " several.",
    ),
    (
        {"SCALIX_ALERT_WEBHOOK": "hooks.example.com/s3cret"},
        "SCALIX_ALERT_WEBHOOK: is no web address. Write e.g. https://hooks.example.com/services/…",
    ),
    (
        {"SCALIX_RETENTION_DAYS": "30"},
        "SCALIX_RETENTION_DAYS: too few days. Write 31 or more, or 0 to keep records for good.",
    ),
    (
        {"SCALIX_RETENTION_DAYS": "forever"},
        "SCALIX_RETENTION_DAYS: 'forever' must be a whole number from 0 to 36500. Correct it.",
    ),
    (
        {"SCALIX_SHUTDOWN_TIMEOUT_S": "1m"},
        "SCALIX_SHUTDOWN_TIMEOUT_S: '1m' must be a whole number from 1 to 3600. Correct it.",
    ),
    (
        {"SCALIX_DATA_DIR": "~nobody-of-this-name/x"},
        "SCALIX_DATA_DIR: '~nobody-of-this-name/x' begins with an unknown user's home. Correct it.",
    ),
    (
        {"LITELLM_LOG_FILE": "~nobody-of-this-name/x"},
        "LITELLM_LOG_FILE: '~nobody-of-this-name/x' begins with an unknown user's home. Correct it.",
    ),
]


@pytest.mark.parametrize(
    ("environ", "sentence"), WRONG, ids=["-".join(environ) for environ, _ in WRONG]
)  # fmt: skip
def test_a_wrong_variable_is_named_with_the_mend(environ: dict[str, str], sentence: str) -> None:
    """One clear line, and nothing starts."""
    with pytest.raises(SettingsError) as caught:
        read_environment(environ)

    assert sentence == str(caught.value)


def test_a_key_in_the_yaml_is_checked_under_its_path() -> None:
    """The message names the place the operator wrote it to."""
    with pytest.raises(SettingsError) as caught:
        read_environment({}, yaml_master_key="sk-1234")

    assert str(caught.value).startswith("general_settings.master_key: too weak.")


def test_two_different_master_keys_are_refused() -> None:
    """Which of them would hold is nobody's guess."""
    with pytest.raises(SettingsError) as caught:
        read_environment({"LITELLM_MASTER_KEY": KEY}, yaml_master_key=KEY[::-1])

    assert (
        "general_settings.master_key: differs from LITELLM_MASTER_KEY. Write os.environ/LITELLM_MASTER_KEY"
        " there." == str(caught.value)
    )


def test_nothing_set_is_the_documented_default() -> None:
    """The defaults of SETTINGS are those that hold."""
    environment = read_environment({})

    assert (None, "127.0.0.1", 4000) == (environment.master_key, environment.host, environment.port)
    assert (None, False, False) == (environment.redis_url, environment.is_debug, environment.is_development)
    assert (10_000_000, 60.0, "WARNING") == (
        environment.max_body_bytes,
        environment.shutdown_timeout_s,
        environment.log_level,
    )
    assert Path(".scalix").absolute() / "logs" / "litellm.log" == environment.log_file
    assert f"sqlite:///{Path('.scalix').absolute()}/scalix.db" == environment.database_url
    assert 1 <= environment.workers <= 4


def test_an_empty_variable_is_an_unset_one() -> None:
    """Compose files and shells leave empty variables behind."""
    assert read_environment({}) == read_environment({setting.name: " " for setting in SETTINGS[1:]})


def test_the_demo_has_the_published_key() -> None:
    """So that every printed command works with --demo."""
    assert DEMO_MASTER_KEY == read_environment({}, is_demo=True).master_key
    assert (
        DEMO_MASTER_KEY == read_environment({"LITELLM_MASTER_KEY": DEMO_MASTER_KEY}, is_demo=True).master_key
    )


def test_a_redis_host_becomes_an_address() -> None:
    """With its port, and the password made fit for a URL."""
    environ = {"REDIS_HOST": "cache", "REDIS_PORT": "7000", "REDIS_PASSWORD": "p@ss/word"}

    assert "redis://:p%40ss%2Fword@cache:7000/0" == read_environment(environ).redis_url


def test_the_environment_wins_over_the_files(tmp_path: Path) -> None:
    """Then scalix_config.env, then .env."""
    (tmp_path / "scalix_config.env").write_text("A=1\nB=1\n")
    (tmp_path / ".env").write_text("A=2\nB=2\nC=2\n")

    assert {"A": "0", "B": "1", "C": "2"} == with_env_files({"A": "0"}, None, tmp_path)


def test_a_named_file_replaces_the_others(tmp_path: Path) -> None:
    """--env-file is meant instead, not in addition."""
    (tmp_path / ".env").write_text("A=2\n")
    (tmp_path / "mine.env").write_text("B=1\n")

    assert {"B": "1"} == with_env_files({}, tmp_path / "mine.env", tmp_path)


def test_a_missing_or_broken_env_file_is_named(tmp_path: Path) -> None:
    """A typing error in --env-file must not start with defaults."""
    broken = tmp_path / "broken.env"
    broken.write_bytes(b"A=\xff\xfe")
    with pytest.raises(SettingsError) as missing:
        with_env_files({}, tmp_path / "no.env", tmp_path)
    with pytest.raises(SettingsError) as unreadable:
        with_env_files({}, broken, tmp_path)

    assert f"--env-file {tmp_path}/no.env: no such file. Name an existing one." == str(missing.value)
    assert f"{broken}: cannot be read (UnicodeDecodeError). Mend the file." == str(unreadable.value)


def test_a_line_of_an_env_file_that_sets_nothing_is_named(tmp_path: Path) -> None:
    """Without its text, which may be a key."""
    file = tmp_path / ".env"
    file.write_text("# keys\n\nA=1\nexport B='two'\nC\nOPENAI_API_KEY sk-hidden\nD=4\n")
    with pytest.raises(SettingsError) as wrong:
        with_env_files({}, None, tmp_path)

    assert f"{file}, line 6: is not NAME=value. Correct it." == str(wrong.value)


def test_what_is_nearly_a_setting_is_told() -> None:
    """Of our own names alone, and not what the YAML reads, or a launcher tells its workers."""
    others = ("SCALIX_ENGINE_URLS", "SCALIX_DEMO_URL", "SCALIX_SOMETHING", "OPENAI_API_KEYS", "SCALIX_ENV")
    values = dict.fromkeys(("SCALIX_MAX_BODY_BYTES", *others), "x")
    config = {"model_list": [{"litellm_params": {"api_base": "os.environ/SCALIX_ENGINE_URLS"}}]}

    assert [("SCALIX_MAX_BODY_BYTES", "SCALIX_MAX_BODY_MB")] == list(misspelled(values, config))


@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]), st.text(), max_size=5))
def test_any_environment_is_read_or_refused_in_one_line(environ: dict[str, str]) -> None:
    """No value of a variable ends in a traceback."""
    try:
        read_environment(environ)
    except SettingsError as error:
        assert any(str(error).startswith(setting.name) for setting in SETTINGS)
        assert "\n" not in str(error)


@pytest.mark.parametrize(("told", "days"), [(None, 400), ("31", 31), ("0", None)])
def test_records_are_kept_for_a_time_or_for_good(told: str | None, days: int | None) -> None:
    """0 keeps them."""
    environ = {"LITELLM_MASTER_KEY": KEY} | ({} if told is None else {"SCALIX_RETENTION_DAYS": told})

    assert days == read_environment(environ).retention_days


def test_trusted_proxies_are_networks() -> None:
    """One address is a network of one; unset, nobody is trusted."""
    environ = {"LITELLM_MASTER_KEY": KEY, "SCALIX_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1,,fd00::/8"}

    assert ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"] == [
        str(network) for network in read_environment(environ).trusted_proxies
    ]
    assert () == read_environment({"LITELLM_MASTER_KEY": KEY}).trusted_proxies


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_a_developer_serves_this_machine(host: str) -> None:
    """However it is named."""
    assert read_environment({"SCALIX_ENV": "development", "LITELLM_HOST": host}).is_development


def test_where_lines_of_calls_go() -> None:
    """Into the log, nowhere, or into a file of their own."""
    read = [read_environment({"SCALIX_ACCESS_LOG": value}) for value in ("", "off", "/var/log/calls.log")]

    assert [(True, None), (False, None), (True, Path("/var/log/calls.log"))] == [
        (each.writes_access_log, each.access_log) for each in read
    ]


def test_spans_are_exported_where_an_address_is_set() -> None:
    """By default none are."""
    on = {"SCALIX_OTEL": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

    assert [False, True] == [read_environment({}).exports_spans, read_environment(on).exports_spans]
