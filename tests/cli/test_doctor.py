"""Each check of the doctor, in each state it can find."""

import asyncio
import inspect
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
import redis

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.doctor import (
    bytecode,
    configuration,
    data_place,
    gateway,
    hooks,
    interpreter,
    intruders,
    models,
    modules,
    operator_key,
    packages,
    port,
    providers,
    redis_store,
    report,
    sql_database,
    subject,
    throwaway_redis,
)
from scalix_callbacks.cli.doctor.command import main
from scalix_callbacks.cli.doctor.contained import TRIAL_MODEL, contained
from scalix_callbacks.cli.doctor.examination import guarded
from scalix_callbacks.cli.doctor.finding import INSTALL, Finding, Level, broken, ok, told, warning
from scalix_callbacks.cli.doctor.options import Options, parse
from scalix_callbacks.cli.doctor.probe_report import CallSeen, Mode, ProbeReport, from_text, to_text
from scalix_callbacks.cli.doctor.providers import Door
from scalix_callbacks.cli.doctor.redis_store import RedisFacts
from scalix_callbacks.cli.doctor.witness import Witness
from scalix_callbacks.cli.embedded_redis import redis_server
from scalix_callbacks.cli.health import Answer
from scalix_callbacks.cli.running import Running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.state import State, write_state
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.core.tiers import HOUR_S, Limit, Tier, Unit
from scalix_callbacks.ledger.database import SchemaState, connect
from tests.databases import make_tables

ROOT = Path(__file__).parents[2]
KEY = "sk-a-key-that-nobody-may-see"
CONFIG = f"""
model_list:
  - model_name: free-one
    litellm_params: {{model: openai/x, api_key: {KEY}, api_base: "https://hidden.example:8443/v1"}}
  - model_name: free-two
    litellm_params: {{model: gemini/y, api_key: os.environ/NOBODY_SETS_THIS}}
"""

OK, WARNING, BROKEN = Level.OK, Level.WARNING, Level.BROKEN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration, in a process that knows no settings."""
    for name in list(os.environ):
        if name.startswith(("LITELLM_", "SCALIX_", "REDIS_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Read = Callable[..., subject.Subject]


@pytest.fixture
def read(folder: Path) -> Read:
    """The settings of that directory, with variables added."""

    def read(**values: str) -> subject.Subject:
        options = Options(folder / "config.yaml", None, str(folder / "data"), folder / "lock", False, False)
        return subject.read_subject(options, values)

    return read


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    return {finding.name: finding.level for finding in findings}


# --- the report --------------------------------------------------------------------------------------


def test_a_finding_is_one_line() -> None:
    """Whatever its texts hold."""
    finding = broken("Redis", "It is\naway.", "Start\r\nit.")

    assert "broken   Redis: It is away. Next: Start it." == report.line(finding)
    assert "ok       Redis: Here." == report.line(ok("Redis", "Here."))


@pytest.mark.parametrize(
    ("findings", "verdict", "code"),
    [
        ([ok("a", "x")], "All is well.", 0),
        ([ok("a", "x"), warning("b", "y", "z")], "It works, with 1 warning.", 0),
        ([warning("a", "x", "z"), warning("a", "y", "z")], "It works, with 2 warnings.", 0),
        (
            [broken("a", "x", "z"), broken("b", "x", "z"), broken("a", "y", "z"), warning("c", "x", "z")],
            "Broken: a, b. Do what the lines say and run this again.",
            1,
        ),
    ],
)
def test_the_verdict(findings: list[Finding], verdict: str, code: int) -> None:
    """Only what is broken fails; each broken check is named once."""
    assert (verdict, code) == (report.verdict(findings), report.exit_code(findings))


def test_the_report_as_json() -> None:
    """The same, for a program."""
    assert {
        "broken": True,
        "verdict": "Broken: a. Do what the lines say and run this again.",
        "findings": [{"name": "a", "level": "broken", "found": "x.", "next_step": "Y."}],
    } == json.loads(json.dumps(report.as_json([broken("a", "x.", "Y.")])))


@pytest.mark.parametrize(
    ("sentence", "found", "next_step"),
    [
        (
            "REDIS_URL: no Redis at 127.0.0.1 within 3 s. Start it.",
            "REDIS_URL: no Redis at 127.0.0.1 within 3 s.",
            "Start it.",
        ),
        ("It is 6.0, 6.2 is needed. Upgrade it.", "It is 6.0, 6.2 is needed.", "Upgrade it."),
        ("One sentence only.", "One sentence only.", ""),
        ("Two\nlines. Mend.", "Two lines.", "Mend."),
    ],
)
def test_our_own_errors_name_the_mend_last(sentence: str, found: str, next_step: str) -> None:
    """Dots in numbers and addresses end no sentence."""
    assert broken("a", found, next_step) == told("a", StartError(sentence))


# --- the command line --------------------------------------------------------------------------------


def test_what_is_not_understood_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing is examined."""
    assert 2 == main(["--nope"])

    printed = capsys.readouterr()
    assert ("", 1) == (printed.out, printed.err.count("\n"))


def test_the_default_lock_is_the_projects_own() -> None:
    assert ROOT / "requirements.lock" == parse([]).lock


def test_a_failing_check_does_not_take_the_others_along() -> None:
    """It is told by the class of its error alone; what it had found before stays."""

    def check() -> Iterator[Finding]:
        yield ok("a", "x")
        raise ValueError(KEY)

    first, second = guarded("a", check)

    assert ok("a", "x") == first
    assert ("a", BROKEN, "The check itself failed with ValueError.") == (
        second.name,
        second.level,
        second.found,
    )


def test_a_missing_package_fails_its_check_alone(folder: Path) -> None:
    """A doctor must also run where packages are missing."""
    code = (
        "import sys\n"
        "for name in ('dotenv', 'packaging', 'packaging.requirements', 'packaging.utils'):\n"
        "    sys.modules[name] = None\n"
        "from scalix_callbacks.cli.doctor.command import main\n"
        "sys.exit(main(['--json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=folder
    )
    found = {(entry["name"], entry["level"]): entry["found"] for entry in json.loads(done.stdout)["findings"]}

    assert (1, "") == (done.returncode, done.stderr)
    assert "Not checked, for the module dotenv is not installed." == found["settings", "broken"]
    assert ("packages", "broken") in found
    assert ("Python", "ok") in found


# --- what is installed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10), BROKEN), ((3, 11), OK), ((3, 12), OK), ((3, 13), BROKEN)]
)
def test_python(version: tuple[int, int], level: Level) -> None:
    """Redis comes with the packages for two versions only."""
    assert level is interpreter.python(version, "3.x").level


@pytest.mark.parametrize(
    ("system", "architecture", "level"),
    [
        ("linux", "x86_64", OK),
        ("linux", "aarch64", WARNING),
        ("darwin", "arm64", BROKEN),
        ("win32", "AMD64", BROKEN),
    ],
)
def test_platform(system: str, architecture: str, level: Level) -> None:
    """Elsewhere than on Linux x86-64 a Redis must be brought along."""
    assert level is interpreter.machine(system, architecture).level


def test_a_lock_is_read_for_this_platform() -> None:
    """Markers choose; hashes, comments and ranges of other lines do not disturb."""
    text = (
        "# a comment with a==1\n"
        "Some_Package==1.2.3 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
        "for-windows==1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
        "for-python==2 ; python_version >= '3.11' and sys_platform != 'win32' \\\n    --hash=sha256:00\n"
        "with-extra[binary]==3.1\n"
    )

    assert {"some-package": "1.2.3", "for-python": "2", "with-extra": "3.1"} == packages.read_pins(text)


def test_versions_as_locked() -> None:
    """What the lock does not name does not matter, nor what only the tests need."""
    found = packages.against_lock(
        {"a": "1", "b": "2", "tool": "3"}, {"a": "1", "b": "2", "c": "9"}, frozenset({"a", "b"})
    )

    assert ok("packages", "2 are as locked.") == found


def test_other_versions_than_locked_and_missing_ones() -> None:
    """Both are told, with the command that mends them."""
    found = packages.against_lock({"a": "1", "b": "2", "c": "3"}, {"b": "2.1", "c": "3"}, None)

    assert broken("packages", "Missing: a. Other versions than locked: b 2.1 instead of 2.", INSTALL) == found


def test_a_long_list_of_packages_is_cut() -> None:
    """The line stays readable when nothing is installed."""
    found = packages.against_lock({f"p{i}": "1" for i in range(10)}, {}, None)

    assert "Missing: p0, p1, p2, p3, p4, p5, p6, p7 and 2 more." == found.found


def test_what_is_needed_is_found_through_extras_and_markers() -> None:
    """psycopg's binary part comes by an extra; pytest is needed by the tests alone."""
    needed = packages.needed_names()

    assert needed is not None
    assert {"litellm", "psycopg-binary", "packaging", "openai"} <= needed
    assert not needed & {"pytest", "mypy", "litellm-enterprise"}


def test_no_lock_is_a_warning(tmp_path: Path) -> None:
    """The installed package comes without it."""
    assert WARNING is levels(packages.examine(tmp_path / "absent"))["packages"]


@pytest.mark.parametrize(("version", "level"), [("1.106.2", OK), ("1.106.3", BROKEN), (None, BROKEN)])
def test_litellm_is_the_tested_one(version: str | None, level: Level) -> None:
    """Its hooks are no stable interface."""
    assert level is packages.litellm_version(version).level


def test_the_tested_litellm_is_the_required_one() -> None:
    """pyproject.toml and the doctor agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"litellm=={packages.LITELLM}" in project["dependencies"]


def test_the_proprietary_extension_is_refused() -> None:
    assert [OK, BROKEN] == [intruders.enterprise(is_installed=installed).level for installed in (False, True)]


@pytest.mark.parametrize(
    ("name", "text", "level"),
    [
        ("path.pth", "/some/litellm/folder\n", OK),
        ("litellm_init.pth", "import os, subprocess; subprocess.Popen(['x'])\n", BROKEN),
        ("innocent.pth", "# x\nimport base64; exec('litellm')\n", BROKEN),
        ("innocent.pth", "import\tLiteLLM\n", BROKEN),
        ("stranger.pth", "import something\n", WARNING),
        ("_virtualenv.pth", "import _virtualenv\n", OK),
        ("_virtualenv.pth", "import _virtualenv; import more\n", WARNING),
        ("odd.pth", "\xff\x00", OK),
    ],
)
def test_start_files(tmp_path: Path, name: str, text: str, level: Level) -> None:
    """Paths are harmless; code that Python runs at every start must be somebody's."""
    path = tmp_path / name
    path.write_text(text, encoding="latin-1")

    assert level is intruders.start_files([path], frozenset()).level


def test_a_packages_own_start_file_may_run_unless_it_mentions_litellm(tmp_path: Path) -> None:
    """The stolen release listed its file like any other."""
    own, evil = tmp_path / "own.pth", tmp_path / "evil.pth"
    own.write_text("import own\n")
    evil.write_text("import litellm_init\n")

    assert OK is intruders.start_files([own], frozenset({own})).level
    assert BROKEN is intruders.start_files([own, evil], frozenset({own, evil})).level


def test_modules_that_cannot_be_imported() -> None:
    """A damaged one counts as missing; without prisma answers are wrong, without the others only slow."""

    def load(name: str) -> object:
        raise OSError(name) if name == "uvloop" else ImportError(name)

    found = list(modules.examine(load))

    assert [BROKEN, WARNING, WARNING, WARNING] == [finding.level for finding in found]
    assert "Cannot be imported (OSError): the event loop is slow." == found[-1].found


def test_litellm_is_compiled_or_not(tmp_path: Path) -> None:
    """Nine in ten files suffice: some cannot be compiled."""
    for i in range(10):
        (tmp_path / f"m{i}.py").write_text("")
    before = bytecode.of(tmp_path).level
    compiled = subprocess.run(
        [sys.executable, "-m", "compileall", "-q", *(str(tmp_path / f"m{i}.py") for i in range(9))],
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
    )

    assert (0, WARNING, OK) == (compiled.returncode, before, bytecode.of(tmp_path).level)


# --- the settings ------------------------------------------------------------------------------------


def test_valid_settings(read: Read) -> None:
    """No env file and no database of LiteLLM's: nothing to say."""
    assert {"env file": OK, "settings": OK} == levels(configuration.examine(read()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_list: [", ("config.yaml, line 1",)),
        (
            "model_list:\n- model_name: a\n  litellm_params: {model: openai/x, api_key: '${K}'}\n",
            ("${K}", "os.environ/K"),
        ),
    ],
)
def test_a_wrong_yaml_leaves_the_environment_readable(
    read: Read, folder: Path, text: str, words: tuple[str, ...]
) -> None:
    """So that ports, Redis and database are still examined."""
    (folder / "config.yaml").write_text(text)

    examined = read(LITELLM_PORT="4567")
    found = [finding for finding in configuration.examine(examined) if finding.level is BROKEN]

    assert ["settings"] == [finding.name for finding in found]
    assert all(word in report.line(found[0]) for word in words)
    assert examined.environment is not None and 4567 == examined.environment.port


def test_a_wrong_variable_leaves_the_data_directory_readable(read: Read, folder: Path) -> None:
    """What needs the other settings says that it was not checked."""
    examined = read(LITELLM_PORT="x")

    assert (None, None, folder / "data") == (examined.environment, examined.settings, examined.data_dir.path)
    for check in (
        models.examine,
        operator_key.examine,
        port.examine,
        sql_database.examine,
        providers.examine,
    ):
        (finding,) = check(examined)
        assert (WARNING, "Mend the settings first.") == (finding.level, finding.next_step)


@pytest.fixture
def launcher_pid(folder: Path) -> Iterator[int]:
    """A launcher holds the data directory, and has not said yet what it is."""
    data_dir = DataDir(folder / "data")
    data_dir.path.mkdir()
    # In a process of its own, for a process is not kept out by its own lock.
    text = (
        "import sys; from pathlib import Path; from scalix_callbacks.cli.file_lock import claim;"
        " assert claim(Path(sys.argv[1])) is not None; print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", text, str(data_dir.launcher_lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdin is not None and launcher.stdout is not None
        launcher.stdout.readline()
        yield launcher.pid
        launcher.stdin.close()


@pytest.fixture
def running_demo(folder: Path, launcher_pid: int) -> None:
    """It is one with --demo."""
    write_state(
        DataDir(folder / "data").state_file,
        State(launcher_pid, "http://127.0.0.1:1", "2030-01-31T12:00:00", "/x/litellm.log", True, 60.0),
    )


UNKNOWN = """\
  - model_name: free-three
    litellm_params: {model: gtp-4, api_key: k}
"""


def test_a_model_that_litellm_does_not_know_is_a_warning(read: Read, folder: Path) -> None:
    """By its place in the YAML, with what to write instead."""
    (folder / "config.yaml").write_text(CONFIG + UNKNOWN)
    found = [f for f in models.examine(read()) if f.level is WARNING and "LiteLLM knows no" in f.found]

    assert [
        "model_list[2].litellm_params.model: LiteLLM knows no model 'gtp-4', and leaves it out. Did you mean"
        " gpt-4? Else write its provider before it, such as openai/gtp-4 where a server speaks OpenAI's API."
    ] == [f"{f.found} {f.next_step}" for f in found]


@pytest.mark.usefixtures("running_demo")
def test_beside_a_demo_every_model_is_known(read: Read, folder: Path) -> None:
    """Its provider answers for every name."""
    (folder / "config.yaml").write_text(CONFIG + UNKNOWN)

    assert {OK} == {f.level for f in models.examine(read()) if f.name != "prices"}


@pytest.mark.usefixtures("running_demo")
def test_beside_a_demo_its_own_settings_are_looked_at(read: Read) -> None:
    """The demo provider answers for every model, so nothing is broken for the lack of keys."""
    examined = read()
    asked = (configuration.examine, models.examine, operator_key.examine, providers.examine)
    found = {f.name: f for check in asked for f in check(examined)}
    assert examined.settings is not None
    trial = hooks.trial_environment({}, examined.settings, Mode.PACK, Path("/trial"), None)

    assert {OK} == {f.level for name, f in found.items() if name != "prices"}
    assert "With credentials: free-one, free-two." == found["models"].found
    assert "the demo provider answers" in found["providers"].found
    assert found["demo"].found.startswith("One runs on this data directory")
    assert "The published one of the demo." == found["master key"].found
    assert "sk-scalix-dev-123456789" != trial["LITELLM_MASTER_KEY"]


@pytest.mark.usefixtures("launcher_pid")
def test_beside_a_launcher_that_is_still_starting_the_settings_are_read(read: Read) -> None:
    """What it has not said yet is no demo."""
    examined = read()

    assert examined.settings is not None and not examined.settings.is_demo


def test_where_there_can_be_no_data_directory_the_settings_are_read(read: Read, folder: Path) -> None:
    """That it is a file is a line of its own."""
    (folder / "data").write_text("")
    examined = read()

    assert examined.settings is not None and not examined.settings.is_demo


def test_what_is_nearly_a_setting_is_a_warning(read: Read) -> None:
    """Nothing reads it, and nothing else would say so."""
    found = [f for f in configuration.examine(read(SCALIX_MAX_BODY_BYTES="5")) if f.level is WARNING]

    assert [
        "settings: SCALIX_MAX_BODY_BYTES: there is no such setting. Did you mean SCALIX_MAX_BODY_MB?"
    ] == [f"{f.name}: {f.found} {f.next_step}" for f in found]


def test_litellms_own_database_is_a_warning(read: Read) -> None:
    """LiteLLM would want Prisma; its address is not shown."""
    found = {f.name: f for f in configuration.examine(read(DATABASE_URL="postgresql://u:hidden@h/d"))}

    assert WARNING is found["LiteLLM's database"].level
    assert "hidden" not in repr(found)


def test_env_files(folder: Path) -> None:
    """Those seen are named; they hold keys, so others must not read them."""
    path = folder / "scalix_config.env"
    absent = configuration.env_files([path])
    path.write_text("OPENAI_API_KEY=x\n")
    path.chmod(0o600)
    private = configuration.env_files([path])
    path.chmod(0o644)

    assert [OK, OK, WARNING] == [f.level for f in (absent, private, configuration.env_files([path]))]
    assert str(path) in private.found


def test_a_named_env_file_that_is_missing_is_broken(folder: Path) -> None:
    """As at a start."""
    options = Options(folder / "config.yaml", folder / "absent.env", None, folder / "lock", False, False)
    examined = subject.read_subject(options, {})

    assert BROKEN is levels(configuration.examine(examined))["settings"]


def test_keys_and_addresses_are_taken_out_of_every_text(read: Read) -> None:
    """Also of variables the configuration does not name."""
    redact = read(
        SCALIX_ENGINE_URL="https://engine.hidden.example/v1", LITELLM_MASTER_KEY="plain-master-key-1"
    ).redact

    for secret in (
        KEY,
        "https://hidden.example:8443/v1",
        "hidden.example:8443",
        "engine.hidden.example",
        "plain-master-key-1",
    ):
        assert secret not in redact(f"It says {secret}.")


def test_nothing_of_the_environment_stays_in_the_process(read: Read, folder: Path) -> None:
    """LiteLLM is asked for credentials with the env file's values; the process keeps its own."""
    (folder / "config.yaml").write_text("model_list:\n- {model_name: a, litellm_params: {model: openai/x}}\n")
    (folder / ".env").write_text("OPENAI_API_KEY=abcdefgh\n")
    before = dict(os.environ)

    examined = read()

    assert examined.settings is not None
    assert examined.settings.catalogue.models[0].is_ready
    assert before == dict(os.environ)


# --- models, chains, tiers ---------------------------------------------------------------------------


def model(name: str, *missing: str | None) -> Model:
    """A model with a deployment for each entry; None: it has its credentials."""
    return Model(
        name, tuple(Deployment(name, "openai/x", f"model_list[{i}]", m) for i, m in enumerate(missing))
    )


def test_models_by_what_they_lack() -> None:
    """One line for those on offer, one for each thing that is missing."""
    found = list(
        models.models(
            Catalogue(
                (
                    model("a", None),
                    model("b", "K1", None),
                    model("c", "K2"),
                    model("d", "K2"),
                    model("e", "K1", "K2"),
                )
            )
        )
    )

    assert [
        "With credentials: a, b (by 1 of 2, the others lack K1).",
        "Not on offer without K2: c, d.",
        "Not on offer without K1 or K2: e.",
    ] == [f.found for f in found]
    assert [OK, WARNING, WARNING] == [f.level for f in found]


def test_no_model_with_credentials_is_broken() -> None:
    """Nobody could be served."""
    assert [BROKEN, WARNING] == [f.level for f in models.models(Catalogue((model("a", "K"),)))]


def test_models_without_a_price() -> None:
    """Where use is paid, nobody would pay for them."""
    finding = models.prices(("gpt-5",))

    assert WARNING is finding.level
    assert finding.found.startswith("None for gpt-5: nobody pays for them")


def test_chains() -> None:
    """A chain that leads nowhere is told; one behind a model not on offer does not matter."""
    catalogue = Catalogue(
        (model("a", None), model("b", None), model("x", "K"), model("y", "K")),
        {"a": ("x", "b"), "b": ("x", "y"), "x": ("y",)},
    )

    assert [
        (OK, "a → x → b; without credentials: x."),
        (WARNING, "b → x → y: nothing follows b, for the others have no credentials."),
        (OK, "x → y; not in use, for x has no credentials."),
    ] == [(f.level, f.found) for f in (models.chain(catalogue, name) for name in "abx")]


def test_tiers_in_short() -> None:
    """A tier without a model on offer is told."""
    catalogue = Catalogue((model("free-a", None), model("free-b", "K"), model("pro-a", "K")))
    free = Tier("free", ("free-*",), (Limit(10, Unit.REQUESTS, HOUR_S), Limit(1_500_000_000, Unit.USD, 90)))

    assert ok(
        "tier free", "10 requests/hour, 1.50 USD/90 s; 1 of 2 models have credentials."
    ) == models.of_tier(free, catalogue)
    assert WARNING is models.of_tier(Tier("pro", ("pro-*",)), catalogue).level


# --- key, data directory, disk -----------------------------------------------------------------------


def test_the_master_key_in_its_file(tmp_path: Path) -> None:
    """Absent, private, open to others, empty: and never shown."""
    path = tmp_path / "master_key"
    found = [operator_key.kept_in(path)]
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    found.append(operator_key.kept_in(path))
    path.chmod(0o644)
    found.append(operator_key.kept_in(path))
    path.write_text("short")
    found.append(operator_key.kept_in(path))
    path.write_bytes(b"\xff" * 40)
    found.append(operator_key.kept_in(path))

    assert [OK, OK, WARNING, BROKEN, BROKEN] == [f.level for f in found]
    assert "mode 0644" in found[2].found
    assert KEY not in repr(found)


def test_a_master_key_in_a_directory_is_broken(tmp_path: Path) -> None:
    """What cannot be read is told with the reason."""
    assert BROKEN is operator_key.kept_in(tmp_path).level


def test_a_master_key_that_is_set(read: Read) -> None:
    found = list(operator_key.examine(read(LITELLM_MASTER_KEY=KEY)))

    assert [ok("master key", "Set, and strong enough.")] == found


def test_the_data_directory(tmp_path: Path) -> None:
    """New, private, open to others, no directory."""
    path = tmp_path / "data"
    found = [data_place.directory(DataDir(path))]
    path.mkdir(mode=0o700)
    found.append(data_place.directory(DataDir(path)))
    path.chmod(0o755)
    found.append(data_place.directory(DataDir(path)))
    (path / "others").write_text("")
    found.append(data_place.directory(DataDir(path)))
    (tmp_path / "file").write_text("")
    found.append(data_place.directory(DataDir(tmp_path / "file")))

    assert [OK, OK, WARNING, BROKEN, BROKEN] == [f.level for f in found]


@pytest.mark.parametrize(
    ("free", "level"),
    [(99_999_999, BROKEN), (100_000_000, WARNING), (999_999_999, WARNING), (1_000_000_000, OK)],
)
def test_room_on_the_disk(free: int, level: Level) -> None:
    assert level is data_place.room(free).level


# --- port and running gateway ------------------------------------------------------------------------


def running(url: str = "http://127.0.0.1:4000") -> Running:
    return Running(7, State(7, url, "2030-01-31T12:00:00", "/x/litellm.log", False, 60.0))


def test_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]

    assert ok("port", f"{free} is free on 127.0.0.1.") == port.of("127.0.0.1", free, None)
    assert ok("port", "0: a free one is taken at the start.") == port.of("127.0.0.1", 0, None)


def test_a_port_of_another_program_names_it() -> None:
    """As far as this user may know."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        found = port.of("127.0.0.1", number, running())

    assert (BROKEN, True) == (found.level, f"(pid {os.getpid()})" in found.found)


def test_a_port_of_a_hidden_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, say."""

    def denied(kind: str) -> list[Any]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = port.of("127.0.0.1", listener.getsockname()[1], None)

    assert (BROKEN, True) == (found.level, "another program" in found.found)


def test_the_port_of_this_gateway_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]

        assert OK is port.of("127.0.0.1", number, running(f"http://127.0.0.1:{number}")).level


def test_an_address_of_another_machine() -> None:
    """Told as the start tells it."""
    assert BROKEN is port.of("192.0.2.1", 4000, None).level


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (Answer(200, '{"status": "ok"}'), OK, "It is well"),
        (
            Answer(200, '{"status": "degraded", "redis": {"status": "down"}, "proxy": {"status": "ok"}}'),
            WARNING,
            "degraded: redis down (",
        ),
        (
            Answer(503, '{"status": "down", "database": {"status": "down"}}'),
            BROKEN,
            "503, down: database down",
        ),
        (Answer(200, f'{{"status": "{KEY}", "x": {{"status": "{KEY}"}}}}'), WARNING, "something unknown"),
        (Answer(200, "[1"), WARNING, "something unknown"),
        (Answer(None), BROKEN, "does not answer"),
    ],
)
def test_what_a_running_gateway_says(answer: Answer, level: Level, words: str) -> None:
    """Only words that are known are repeated: another program may have the port now."""
    found = gateway.of(running(), answer)

    assert (level, True, False) == (found.level, words in found.found, KEY in report.line(found))


def test_no_running_gateway(read: Read) -> None:
    assert {"running gateway": OK} == levels(gateway.examine(read()))


# --- Redis -------------------------------------------------------------------------------------------

FIT = RedisFacts("7.4.1", True, 0, "allkeys-lru", False, 0.2, None)


def test_a_fit_redis() -> None:
    """A policy without a bound evicts nothing."""
    assert {OK} == {finding.level for finding in redis_store.findings(FIT)}


@pytest.mark.parametrize(
    ("facts", "name", "level"),
    [
        (replace(FIT, version="6.0.16"), "Redis version", BROKEN),
        (replace(FIT, version="6.2.0"), "Redis version", OK),
        (replace(FIT, version="8.4.0"), "Redis version", OK),
        (replace(FIT, version="9.0.0"), "Redis version", WARNING),
        (replace(FIT, version=None), "Redis version", WARNING),
        (replace(FIT, version="unknown"), "Redis version", WARNING),
        (replace(FIT, is_append_only=False), "Redis persistence", WARNING),
        (replace(FIT, is_append_only=None), "Redis persistence", WARNING),
        (replace(FIT, max_memory=1), "Redis memory", WARNING),
        (replace(FIT, max_memory=1, eviction="noeviction"), "Redis memory", OK),
        (replace(FIT, max_memory=None, eviction=None), "Redis memory", WARNING),
        (replace(FIT, median_ping_ms=10.0), "Redis latency", OK),
        (replace(FIT, median_ping_ms=10.1), "Redis latency", WARNING),
        (replace(FIT, median_ping_ms=250.0), "Redis latency", BROKEN),
        (replace(FIT, script_refusal="NoPermissionError"), "Redis scripts", BROKEN),
        (replace(FIT, is_replica=True), "Redis role", BROKEN),
    ],
)
def test_an_unfit_redis(facts: RedisFacts, name: str, level: Level) -> None:
    """Old, forgetful, slow, or closed to scripts."""
    assert level is levels(redis_store.findings(facts))[name]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis, as the launcher starts it."""
    with throwaway_redis.throwaway_redis(redis_server(), tmp_path_factory.mktemp("redis")) as url:
        yield url


def test_our_own_redis_is_fit_and_is_left_as_it_was(redis_url: str) -> None:
    """The doctor reads and runs a script that changes nothing."""
    found = list(redis_store.of(redis_url, "It"))
    with redis.Redis.from_url(redis_url) as client:
        keys = client.dbsize()

    assert {OK} == {finding.level for finding in found}
    assert {
        "Redis",
        "Redis version",
        "Redis persistence",
        "Redis memory",
        "Redis latency",
        "Redis scripts",
    } == {finding.name for finding in found}
    assert 0 == keys


def test_a_redis_user_without_rights(redis_url: str) -> None:
    """Scripts are refused; what INFO would tell stays unknown."""
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command(
            "ACL", "SETUSER", "poor", "on", ">secret-1", "~*", "+@all", "-@scripting", "-info"
        )
    url = redis_url.replace("unix://", "unix://poor:secret-1@")

    found = list(redis_store.of(url, "It"))

    assert {
        "Redis": OK,
        "Redis version": WARNING,
        "Redis persistence": WARNING,
        "Redis memory": WARNING,
        "Redis latency": OK,
        "Redis scripts": BROKEN,
    } == levels(iter(found))
    assert "secret-1" not in repr(found)


def test_a_redis_that_does_not_answer(read: Read) -> None:
    """The start's own sentence, without the password."""
    examined = read(REDIS_URL="redis://:secret-1@127.0.0.1:9/0")

    found = list(redis_store.examine(examined, None, None))

    assert [("Redis", BROKEN)] == [(f.name, f.level) for f in found]
    assert "secret-1" not in repr(found)


def test_no_redis_at_all(read: Read) -> None:
    """Neither configured nor embedded."""
    found = list(redis_store.examine(read(), None, StartError("No Redis: none is here. Install one.")))

    assert [broken("Redis", "No Redis: none is here.", "Install one.")] == found


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "no program at all"])
def test_an_embedded_redis_that_does_not_run(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged binary is told, and nothing of the trial is left running."""
    executable = tmp_path / "redis-server"
    executable.write_text(program)
    executable.chmod(0o700)
    monkeypatch.setattr(throwaway_redis, "redis_server", lambda: str(executable))

    with ExitStack() as stack:
        url, problem = throwaway_redis.try_to_start(tmp_path, stack)

    assert (None, True) == (url, str(executable) in str(problem))


# --- the database ------------------------------------------------------------------------------------


def of_database(path: Path, options: str = "") -> dict[str, Level]:
    return levels(sql_database.of(f"sqlite:///{path}{options}"))


def test_a_database_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    assert {"database": OK} == of_database(tmp_path / "x.db")
    assert not list(tmp_path.iterdir())


def test_a_database_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """No start makes folders, but for the data directory."""
    assert {"database": BROKEN} == of_database(tmp_path / "none" / "x.db")
    assert {"database": OK} == levels(sql_database.of(f"sqlite:///{tmp_path}/data/x.db", tmp_path / "data"))


def test_our_own_database(tmp_path: Path) -> None:
    """Current, and may be written; no row is."""
    path = tmp_path / "x.db"
    engine = connect(f"sqlite:///{path}")
    make_tables(engine)
    engine.dispose()

    assert {"database": OK, "database writable": OK} == of_database(path)


def test_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()

    assert {"database": OK, "database writable": OK} == of_database(tmp_path / "x.db")


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    """Not even its journal mode is changed."""
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()

    assert {"database": BROKEN} == of_database(path)
    assert before == path.read_bytes()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database " * 100)

    assert {"database": BROKEN} == of_database(tmp_path / "x.db")


def test_a_database_that_can_only_be_read(tmp_path: Path) -> None:
    """Found without writing."""
    path = tmp_path / "x.db"
    engine = connect(f"sqlite:///{path}")
    make_tables(engine)
    engine.dispose()

    found = list(sql_database.of(f"sqlite:///file:{path}?mode=ro&uri=true"))

    assert [OK, BROKEN] == [f.level for f in found]
    assert "read-only" in found[1].found


@pytest.mark.parametrize(("state", "level"), [(SchemaState.BEHIND, WARNING), (SchemaState.FOREIGN, BROKEN)])
def test_a_database_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: SchemaState, level: Level
) -> None:
    """An older one is brought up by the next start; a newer one is not touched."""
    (tmp_path / "x.db").touch()
    monkeypatch.setattr(sql_database, "schema_state", lambda engine: state)

    assert level is of_database(tmp_path / "x.db")["database"]


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://h/d", "sqlite://", "postgresql://u:secret-1@127.0.0.1:9/d?connect_timeout=1"]
)
def test_a_database_that_cannot_be_reached(url: str) -> None:
    """One sentence, without the password."""
    found = list(sql_database.of(url))

    assert [("database", BROKEN)] == [(f.name, f.level) for f in found]
    assert "secret-1" not in repr(found)


# --- providers ---------------------------------------------------------------------------------------


def test_doors_are_distinct_and_only_of_what_is_on_offer(read: Read, folder: Path) -> None:
    """By provider and address; user, password and path of an address are not used."""
    (folder / "config.yaml").write_text(
        "model_list:\n"
        "- {model_name: a, litellm_params: {model: openai/x, api_key: k, api_base: 'https://u:p@h.example/v1?q'}}\n"
        "- {model_name: b, litellm_params: {model: openai/y, api_key: k, api_base: 'https://h.example/v2'}}\n"
        "- {model_name: b, litellm_params: {model: openai/z, api_key: k}}\n"
        "- {model_name: c, litellm_params: {model: gemini/x, api_key: os.environ/NOBODY_SETS_THIS}}\n"
        "- {model_name: d, litellm_params: {model: ollama_chat/x, api_base: os.environ/PLACE}}\n"
        "- {model_name: e, litellm_params: {model: sagemaker/x, api_key: k}}\n"
    )
    examined = read(PLACE="http://[::1]:11434/")

    assert examined.settings is not None
    assert [
        Door("openai", ("a", "b"), "https://h.example"),
        Door("openai", ("b",), "https://api.openai.com"),
        Door("ollama_chat", ("d",), "http://[::1]:11434"),
        Door("sagemaker", ("e",), None),
    ] == providers.doors(examined.settings, examined.values)


class _Asked(BaseHTTPRequestHandler):
    headers_seen: dict[str, str]

    def do_HEAD(self) -> None:
        type(self).headers_seen = dict(self.headers)
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Asked) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A server that takes connections and says nothing until the end of the test."""
    done = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]
        done.set()


async def test_a_provider_that_answers(server: HTTPServer) -> None:
    """Any answer will do; no credentials are sent, and it is said that keys are not tested."""
    address = f"127.0.0.1:{server.server_port}"
    found = await providers.knock(Door("openai", ("a", "b"), f"http://{address}"))

    assert (OK, False) == (found.level, address in report.line(found))
    assert "(for a, b; HTTP 404)" in found.found and "keys are not tested" in found.found
    assert not {"authorization", "x-api-key", "cookie"} & {name.lower() for name in _Asked.headers_seen}


async def test_a_provider_that_does_not_speak_tls(server: HTTPServer) -> None:
    found = await providers.knock(Door("openai", ("a",), f"https://127.0.0.1:{server.server_port}"))

    assert (BROKEN, True) == (found.level, "TLS" in found.found)


async def test_a_provider_that_is_silent(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded."""
    monkeypatch.setattr(providers, "TIMEOUT_S", 0.1)

    found = await providers.knock(Door("openai", ("a",), f"http://127.0.0.1:{silent_port}"))

    assert (BROKEN, True) == (found.level, "no answer within" in found.found)


async def test_all_doors_are_knocked_at() -> None:
    """In order; one that fails does not stop the others."""
    found = await providers.knock_at_all(
        [Door("openai", ("a",), "http://127.0.0.1:9"), Door("x", ("b",), None)]
    )

    assert [("provider openai", BROKEN), ("provider x", WARNING)] == [(f.name, f.level) for f in found]
    assert "127.0.0.1" not in repr(found)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("secret"), "no answer within 5 s"),
        (httpx.ProxyError("secret"), "the proxy of this network refuses"),
        (
            caused(httpx.ConnectError("secret"), ssl.SSLError("secret")),
            "its certificate, or TLS itself, is not accepted",
        ),
        (
            caused(httpx.ConnectError("secret"), socket.gaierror("secret")),
            "its name is not known to this network",
        ),
        (
            caused(
                httpx.ConnectError("secret"), ExceptionGroup("secret", [ConnectionRefusedError("secret")])
            ),
            "the connection is refused",
        ),
        (httpx.ReadError("secret"), "it failed with ReadError"),
    ],
)
def test_why_a_provider_cannot_be_reached(error: Exception, words: str) -> None:
    """In our words, for the errors' own hold the address."""
    assert words == providers._why(error)


def litellms_addresses() -> list[tuple[str, str]]:
    """LiteLLM's own answers for our providers, where it has one."""
    import litellm

    found = [(name, litellm.get_llm_provider(f"{name}/x")[3]) for name in providers.DEFAULT_ADDRESSES]
    return [(name, address) for name, address in found if address]


def test_default_addresses_are_litellms(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of LiteLLM that moves a provider fails here."""
    expected = litellms_addresses()

    assert len(expected) >= 5
    for name, address in expected:
        assert httpx.URL(address).host == httpx.URL(providers.DEFAULT_ADDRESSES[name]).host, name


# --- hooks -------------------------------------------------------------------------------------------

WELL = ProbeReport(
    hooks={"pre_call": ("JSON call",), "custom_auth": ("JSON call", "stream")},
    calls={"JSON call": CallSeen(200, True)},
)


def test_a_report_comes_over_as_it_was() -> None:
    for sent in (WELL, ProbeReport(failure="x"), ProbeReport(problems=("a",), dropped=("b",))):
        assert sent == from_text(to_text(sent))


def test_all_hooks_are_called() -> None:
    assert {"hook pre_call": OK, "hook custom_auth": OK, "deployments": OK} == levels(hooks.of_pack(WELL))
    assert OK is hooks.of_plain(WELL).level


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (replace(WELL, hooks={"pre_call": ()}), "hook pre_call"),
        (replace(WELL, problems=("it is not there",)), "hooks"),
        (replace(WELL, calls={"stream": CallSeen(500, False)}), "calls"),
        (replace(WELL, calls={"stream": CallSeen(None, False)}), "calls"),
        (replace(WELL, dropped=("free-one",)), "deployments"),
        (ProbeReport(failure="LiteLLM failed with KeyError."), "hooks"),
    ],
)
def test_what_is_wrong_with_the_hooks(seen: ProbeReport, name: str) -> None:
    """Registered is not enough: each must have run."""
    assert BROKEN is levels(hooks.of_pack(seen))[name]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(WELL, problems=("it is not there", "nor that")), "it is not there; nor that"),
        (replace(WELL, hooks={"pre_call": ()}), "would not call pre_call"),
        (ProbeReport(failure="LiteLLM failed with KeyError."), "would not start"),
    ],
)
def test_plain_litellm_without_the_pack_is_a_warning(seen: ProbeReport, words: str) -> None:
    """Our launcher serves it all the same."""
    found = hooks.of_plain(seen)

    assert (WARNING, True) == (found.level, words in found.found)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_trial_touches_nothing_of_the_users(read: Read, tmp_path: Path, mode: Mode) -> None:
    """Neither their Redis nor their database, files, buckets or callbacks; and it keeps off their proxy."""
    examined = read(
        REDIS_URL="redis://h",
        REDIS_HOST="h",
        SCALIX_DATABASE_URL="postgresql://h/d",
        DATABASE_URL="postgresql://h/d",
        LITELLM_WORKER_STARTUP_HOOKS="a:b",
        LITELLM_MASTER_KEY=KEY,
        NO_PROXY="internal",
        CONFIG_FILE_PATH="/other.yaml",
    )
    assert examined.settings is not None
    environment = hooks.trial_environment(examined.values, examined.settings, mode, tmp_path, None)

    assert (
        not {"REDIS_URL", "REDIS_HOST", "DATABASE_URL", "LITELLM_WORKER_STARTUP_HOOKS"} & environment.keys()
    )
    assert f"sqlite:///{tmp_path / 'data' / 'scalix.db'}" == environment["SCALIX_DATABASE_URL"]
    assert (str(tmp_path / "data"), KEY) == (
        environment["SCALIX_DATA_DIR"],
        environment["LITELLM_MASTER_KEY"],
    )
    assert "internal,127.0.0.1" == environment["NO_PROXY"] == environment["no_proxy"]
    named = environment.get("CONFIG_FILE_PATH"), environment.get("WORKER_CONFIG")
    config = str(examined.settings.config_path)
    assert ((config, None) if mode is Mode.PACK else (None, config)) == named


@pytest.mark.parametrize(
    ("program", "words"),
    [("pass", "ended without a report (exit code 0)"), ("import signal; signal.pause()", "did not finish")],
)
def test_a_trial_that_ends_badly(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    """It ends in any case, and is not left running."""
    monkeypatch.setattr(hooks, "LIMIT_S", 0.5 if "pause" in program else 20.0)
    examined = read()
    assert examined.settings is not None
    reports = hooks.probe(
        examined.values, examined.settings, tmp_path, None, command=(sys.executable, "-c", program)
    )

    assert all(words in (seen.failure or "") for seen in reports.values())
    assert not [child for child in psutil.Process().children() if "pause" in "".join(child.cmdline())]


def test_hooks_are_not_tried_without_settings(read: Read, tmp_path: Path) -> None:
    assert {"hooks": WARNING} == levels(hooks.examine(read(LITELLM_PORT="x"), tmp_path, None))


def test_a_trial_keeps_what_leads_nowhere() -> None:
    """Caches, events and health checks stay out; models, routing and the pack stay in."""
    config = {
        "model_list": [{"model_name": "a", "litellm_params": {"model": "openai/x"}}],
        "litellm_settings": {
            "callbacks": ["langfuse", "scalix_callbacks.plugin.callbacks"],
            "success_callback": ["langfuse"],
            "cache": True,
            "drop_params": True,
        },
        "general_settings": {"custom_auth": "x.y", "background_health_checks": True, "alerting": ["slack"]},
        "router_settings": {"redis_host": "h", "num_retries": 2},
        "guardrails": [{}],
        "environment_variables": {"A": "b"},
    }

    kept = contained(config, "http://127.0.0.1:1")

    assert {"callbacks": ["scalix_callbacks.plugin.callbacks"], "drop_params": True} == kept[
        "litellm_settings"
    ]
    assert ({"custom_auth": "x.y"}, {"num_retries": 2}) == (kept["general_settings"], kept["router_settings"])
    assert ["a", TRIAL_MODEL] == [entry["model_name"] for entry in kept["model_list"]]
    assert {"model_list", "litellm_settings", "general_settings", "router_settings"} == kept.keys()


def test_an_empty_configuration_can_be_tried() -> None:
    assert ["model_list"] == list(contained({"litellm_settings": None}, "http://127.0.0.1:1"))


async def test_a_witness_sees_functions_of_every_kind() -> None:
    """Kind, signature and result stay as they were: LiteLLM looks at them."""

    def plain(a: int, *, b: int = 1) -> int:
        return a + b

    async def coroutine(a: int) -> int:
        return a

    async def generator(a: int) -> AsyncIterator[int]:
        yield a
        yield a + 1

    witness = Witness()
    watched = SimpleNamespace(
        **{f.__name__: witness.watch(f.__name__, f) for f in (plain, coroutine, generator)}
    )
    unseen = {name: list(steps) for name, steps in witness.ran.items()}
    witness.step = "one"
    results = (watched.plain(1), await watched.coroutine(2), [item async for item in watched.generator(3)])
    witness.step = "two"
    watched.plain(1, b=5)
    watched.plain(1, b=5)

    assert {"plain": [], "coroutine": [], "generator": []} == unseen
    assert (2, 2, [3, 4]) == results
    assert {"plain": ["one", "two"], "coroutine": ["one"], "generator": ["one"]} == witness.ran
    assert inspect.iscoroutinefunction(watched.coroutine) and inspect.isasyncgenfunction(watched.generator)
    assert inspect.signature(plain) == inspect.signature(watched.plain)


def test_an_interrupt_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of a check."""
    monkeypatch.setattr(interpreter, "examine", lambda: signal.raise_signal(signal.SIGINT))
    # A job in the background of a script is started without it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert 130 == main([])
    finally:
        signal.signal(signal.SIGINT, before)
    assert ("", "Interrupted.\n") == tuple(capsys.readouterr())
