"""--check, --status and --stop where nothing runs: they make nothing."""

import json
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scalix_callbacks.cli.launcher import main

CONFIG = """\
model_list:
  - model_name: free-ready
    litellm_params: {model: openai/x, api_key: os.environ/SOME_KEY}
  - model_name: free-waiting
    litellm_params: {model: openai/x, api_key: os.environ/OTHER_KEY}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a configuration beside it, and no settings."""
    for name in os.environ:
        if name.startswith(("LITELLM_", "SCALIX_", "REDIS_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    (tmp_path / "config.yaml").write_text(CONFIG)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def check(*argv: str) -> int:
    return main(["--check", "--config", "../config.yaml", "--port", "0", *argv])


def test_a_valid_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0, the models with and without credentials, and nothing made."""
    monkeypatch.setenv("SOME_KEY", "sk-some-key-0123456789")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hidden@h/d")
    monkeypatch.setenv("SCALIX_MAX_BODY_BYTES", "5")

    assert 0 == check()

    printed = capsys.readouterr()
    assert "Models with credentials: free-ready\n" in printed.out
    assert "OTHER_KEY  free-waiting" in printed.out
    assert "DATABASE_URL is not passed on" in printed.out
    assert "SCALIX_MAX_BODY_BYTES: there is no such setting. Did you mean SCALIX_MAX_BODY_MB?" in printed.out
    assert "hidden" not in printed.out
    assert "" == printed.err
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize(
    ("argv", "environ", "sentence"),
    [
        (["--config", "none.yaml"], {}, "none.yaml: no such file"),
        (["--env-file", "none.env"], {}, "--env-file none.env: no such file"),
        (["--workers", "0"], {}, "--workers: '0' must be a whole number from 1"),
        (["--port", "70000"], {}, "--port: '70000' must be a whole number"),
        (["--data-dir", "../config.yaml"], {}, "config.yaml: is no directory"),
        (
            ["--demo", "--host", "0.0.0.0"],
            {},
            "--demo: on 0.0.0.0 other machines could use the published key",
        ),
        ([], {"LITELLM_LOG_FILE": "/"}, "LITELLM_LOG_FILE: cannot write / (Is a directory)"),
        (
            [],
            {"SCALIX_ACCESS_LOG": "../config.yaml/calls.log"},
            "config.yaml/calls.log (Not a directory). Name another file.",
        ),
        ([], {"LITELLM_MASTER_KEY": "weak"}, "LITELLM_MASTER_KEY: too weak"),
        ([], {"REDIS_URL": "unix:///no/such.sock"}, "REDIS_URL: no Redis answers at unix:///no/such.sock"),
        (
            [],
            {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "REDIS_PASSWORD": "hidden"},
            "REDIS_HOST: no Redis answers at redis://[redacted]@127.0.0.1:1/0",
        ),
        (
            [],
            {"SCALIX_DATABASE_URL": "mysql://h/d"},
            "SCALIX_DATABASE_URL: The database URL names an unknown kind",
        ),
        (
            [],
            {"SCALIX_DATABASE_URL": "sqlite:////no/such/folder/x.db"},
            "SCALIX_DATABASE_URL: There is no folder /no/such/folder for the database",
        ),
        (
            [],
            {"SCALIX_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/d"},
            "SCALIX_DATABASE_URL: The database postgresql://u:***@127.0.0.1:1/d cannot be reached",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    folder: Path,
    argv: list[str],
    environ: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 1, one line on stderr, nothing made."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert 1 == check(*argv)

    printed = capsys.readouterr()
    assert sentence in printed.err
    assert 1 == len(printed.err.splitlines())
    assert "" == printed.out
    assert [] == list(folder.iterdir())


def test_a_model_that_litellm_does_not_know_is_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Valid all the same: its table is of its release, and a server of one's own has names of its own."""
    monkeypatch.setenv("SOME_KEY", "sk-some-key-0123456789")
    monkeypatch.setenv("MODEL", "house")
    text = (folder.parent / "config.yaml").read_text()
    bare = "".join(
        f"  - model_name: free-{i}\n    litellm_params: {{{params}, api_key: os.environ/SOME_KEY}}\n"
        for i, params in enumerate(
            (
                "model: gtp-4",
                "model: gpt-4",
                "model: os.environ/MODEL",
                "model: gtp-4, custom_llm_provider: openai",
            )
        )
    )
    (folder.parent / "config.yaml").write_text(text + bare)

    assert 0 == check()

    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: model_list")]
    assert [
        "Note: model_list[2].litellm_params.model: LiteLLM knows no model 'gtp-4', and leaves it out. Did you"
        " mean gpt-4? Else write its provider before it, such as openai/gtp-4 where a server speaks"
        " OpenAI's API.",
        "Note: model_list[4].litellm_params.model: LiteLLM knows no model 'house', and leaves it out. Write"
        " its provider before it, such as openai/house where a server speaks OpenAI's API.",
    ] == notes


def test_a_busy_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the start finds out."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        assert 1 == check("--port", str(busy.getsockname()[1]))

    assert "is in use by another program" in capsys.readouterr().err


def test_an_own_key_may_serve_a_demo_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the published key keeps --demo on this machine."""
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-an-own-key-0123456789")

    assert 0 == check("--demo", "--host", "0.0.0.0")


def test_a_database_that_is_none_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file of the data directory is looked at when it is there, and stays as it is."""
    data_dir = folder / ".scalix"
    data_dir.mkdir(mode=0o700)
    (data_dir / "scalix.db").write_bytes(b"no database" * 100)

    assert 1 == check()

    assert "is not an SQLite database" in capsys.readouterr().err
    assert ["scalix.db"] == os.listdir(data_dir)


def test_the_folder_of_a_new_database_need_be_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file, the first start makes; in the data directory, the folder too."""
    monkeypatch.setenv("SCALIX_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")

    assert 0 == check()
    monkeypatch.setenv("SCALIX_DATABASE_URL", "sqlite:///.scalix/x.db")
    assert 0 == check()


def test_a_foreign_database_is_told_by_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another program's tables are not touched."""
    with closing(sqlite3.connect(tmp_path / "x.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    monkeypatch.setenv("SCALIX_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")

    assert 1 == check()
    assert "SCALIX_DATABASE_URL: The database holds the tables of another" in capsys.readouterr().err


def test_nothing_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--status exits 3, --stop says so and exits 0, whatever a killed launcher has left."""
    data_dir = folder / ".scalix"
    data_dir.mkdir()
    (data_dir / "launcher.lock").touch()
    (data_dir / "launcher.json").write_text(json.dumps({"pid": os.getppid()}))

    assert 3 == main(["--status"])
    assert f"Not running (data directory {data_dir}).\n" == capsys.readouterr().out
    assert 3 == main(["--status", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (False, False, None, str(data_dir)) == tuple(
        said[name] for name in ("running", "healthy", "pid", "data_dir")
    )
    assert 0 == main(["--stop"])
    assert f"No gateway runs on {data_dir}.\n" == capsys.readouterr().out


@pytest.mark.parametrize("action", ["--status", "--stop", "--check"])
def test_a_data_directory_that_is_a_file_is_told(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to name, whatever is asked for."""
    assert 1 == main([action, "--data-dir", "../config.yaml"])

    told = capsys.readouterr().err
    assert told.endswith("config.yaml: is no directory. Name another one with --data-dir.\n")
