"""The proxies that are measured, each started as its users start it, all in front of one provider."""

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.keys import LIMITED_KEY, MASTER_KEY, REFUSED_KEY, UNKNOWN_KEY
from bench.processes import folder, python, running, wait_until
from bench.redis_server import own_redis
from scalix_callbacks.cli.child_environment import STAY_HOME, litellm_environment, plain_environment
from scalix_callbacks.cli.state import read_state
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect, migrate

ROOT = Path(__file__).parents[1]
START_S = 120.0
MODELS = ("whole", "chunks-10", "chunks-210", "paced-20", "slow-24", "flaky")
"""As `bench.provider` knows them; the proxies have them as `scalix-NAME`."""
HIDDEN = ("httptools", "opentelemetry.sdk", "prisma", "prisma.errors")
"""What ours brings that `litellm[proxy]` does not, and that LiteLLM uses where it is there.

A stock proxy is what `pip install 'litellm[proxy]'` gives and `litellm --config FILE` starts: compiled files
(pip makes them), uvicorn on uvloop with its access log, one worker, hiredis; no HTTP parser in C, no
OpenTelemetry. Left out is the proprietary litellm-enterprise.
"""
PLENTY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Server:
    """A proxy that runs.

    Attributes:
        url: of the chat completions.
        keys: what it is asked for → the key to ask with: `plenty`, `refused`, `unknown`.
        pids: its workers.
        redis_url: None: it has none.
        start_s: from the command to the first answer.
    """

    name: str
    url: str
    keys: Mapping[str, str]
    pids: tuple[int, ...]
    redis_url: str | None
    start_s: float


@dataclass(frozen=True, slots=True)
class Setup:
    """How a server is to be started.

    Attributes:
        environment: beside what every one of them gets.
        litellm_params: of every deployment; `model` may hold `{}` for the provider's model.
        paths: folders put before the installed packages.
        config: the YAML's data instead of one that names the provider's models.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    litellm_params: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    config: Mapping[str, Any] | None = None


@contextmanager
def provider() -> Iterator[tuple[str, int]]:
    """The address of an instant provider, and its process id."""
    port = _free_port()
    with ExitStack() as stack:
        home = stack.enter_context(folder())
        log = home / "log"
        process = stack.enter_context(running(python("-m", "bench.provider", str(port)), _plain(), log))
        wait_until(lambda: _is_open(port), process, log, START_S)
        yield f"http://127.0.0.1:{port}/v1", process.pid


@contextmanager
def stock(upstream: str, setup: Setup = Setup()) -> Iterator[Server]:
    """`litellm --config` as `pip install 'litellm[proxy]'` gives it, with its own master key."""
    with folder() as home:
        environment = {**_hidden(), **setup.environment}
        config = _write(home, _config(upstream, setup))
        with _litellm("stock", home, config, environment, setup, {"plenty": MASTER_KEY}) as server:
            yield server


@contextmanager
def bare(upstream: str, setup: Setup = Setup()) -> Iterator[Server]:
    """LiteLLM without the pack, with everything else that our launcher gives it."""
    with folder() as home:
        config, port = _write(home, _config(upstream, setup)), _free_port()
        environment = _ours(setup) | {"CONFIG_FILE_PATH": str(config), "LITELLM_LOG": "WARNING"}
        command = python("-m", "bench.bare", str(port))
        with _served("bare", home, command, port, environment, {"plenty": MASTER_KEY}) as server:
            yield server


@contextmanager
def alone(upstream: str, setup: Setup = Setup()) -> Iterator[Server]:
    """`litellm --config` as for `stock`, with the pack named in the YAML."""
    with folder() as home, own_redis() as redis_url:
        config = _config(upstream, setup) | {"scalix": _PLENTY_FOR_PRO}
        config["litellm_settings"] |= {
            "callbacks": ["scalix_callbacks.plugin.callbacks"],
            "global_disable_no_log_param": True,
        }
        config["general_settings"] |= {
            "custom_auth": "scalix_callbacks.plugin.authenticate",
            "cancel_on_disconnect": True,
        }
        environment = _hidden() | {"SCALIX_DATA_DIR": str(home), "SCALIX_REDIS_URL": redis_url}
        keys = _accounts(home)
        with _litellm(
            "alone", home, _write(home, config), environment | dict(setup.environment), setup, keys, redis_url
        ) as server:
            yield server


@contextmanager
def shipped(upstream: str, setup: Setup = Setup(), workers: int = 1) -> Iterator[Server]:
    """Our launcher, as the README has it."""
    with folder() as home:
        data_dir, port = home / "data", _free_port()
        data_dir.mkdir()
        given = _config(upstream, setup)
        config = _write(home, {**given, "scalix": {**_PLENTY_FOR_PRO, **given.get("scalix", {})}})
        script = str(ROOT / "scripts" / "start_scalix_litellm.py")
        options = ["--config", str(config), "--data-dir", str(data_dir)]
        command = python(script, *options, "--port", str(port), "--workers", str(workers))
        keys, log = _accounts(data_dir), home / "log"
        with running(command, _plain() | _first(setup) | dict(setup.environment), log) as process:
            state_file = data_dir / "launcher.json"
            start_s = wait_until(
                lambda: bool((told := read_state(state_file)) and told.is_ready), process, log, START_S
            )
            state = read_state(state_file)
            assert state is not None
            redis_url = f"unix://{state.redis_socket}"
            yield Server("shipped", _chat(port), keys, tuple(state.workers), redis_url, start_s)


@contextmanager
def limited(upstream: str, setup: Setup = Setup()) -> Iterator[Server]:
    """Stock LiteLLM with its own limiter, Redis and Prometheus, where prometheus-client is installed."""
    redis_port = _free_port()
    with folder() as home, own_redis(redis_port, prefers_installed=True) as redis_url:
        config = _config(upstream, setup)
        config["general_settings"] |= {
            "custom_auth": "bench.limited_auth.authenticate",
            "coordination_redis": {"host": "127.0.0.1", "port": redis_port},
        }
        if find_spec("prometheus_client") is not None:
            config["litellm_settings"]["callbacks"] = ["prometheus"]
        keys = {"plenty": LIMITED_KEY, "refused": REFUSED_KEY}
        environment = _hidden() | dict(setup.environment)
        with _litellm("limited", home, _write(home, config), environment, setup, keys, redis_url) as server:
            yield server


def pack_environment(home: Path, redis_url: str) -> tuple[dict[str, str], str]:
    """What a worker of ours finds, and the key of a user with plenty."""
    config = _write(home, {**_config("http://127.0.0.1:9/v1", Setup()), "scalix": _PLENTY_FOR_PRO})
    ours = {"CONFIG_FILE_PATH": str(config), "SCALIX_DATA_DIR": str(home), "SCALIX_REDIS_URL": redis_url}
    ours["SCALIX_ACCESS_LOG"] = str(home / "access.log")
    return _ours(Setup()) | ours, _accounts(home)["plenty"]


_PLENTY_FOR_PRO = {
    "prices": [{"model": "scalix-*", "input_usd_per_1k": 0.002, "output_usd_per_1k": 0.008}],
    "tiers": {
        "pro": {
            "limits": [
                {"amount": PLENTY, "unit": "requests", "window": "1h"},
                {"amount": PLENTY, "unit": "tokens", "window": "1d"},
            ]
        },
        "free": {"models": ["scalix-*"], "limits": [{"amount": 1, "unit": "requests", "window": "1d"}]},
    },
}


def _config(upstream: str, setup: Setup) -> dict[str, Any]:
    if setup.config is not None:
        return dict(setup.config)
    params = {"model": "openai/{}", "api_base": upstream, "api_key": "bench", **setup.litellm_params}
    return {
        "model_list": [
            {
                "model_name": f"scalix-{name}",
                "litellm_params": {**params, "model": str(params["model"]).format(name)},
            }
            for name in MODELS
        ],
        "litellm_settings": {},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def _accounts(data_dir: Path) -> dict[str, str]:
    """Keys of two users: one with plenty, one who has had the one call of the day that is his."""
    engine = connect(f"sqlite:///{data_dir / 'scalix.db'}")
    migrate(engine)
    accounts = Accounts(engine)
    keys = {"unknown": UNKNOWN_KEY}
    for name, tier in (("plenty", "pro"), ("refused", "free")):
        accounts.create_account(f"bench-{name}", tier)
        keys[name], _ = accounts.create_key(f"bench-{name}")
    engine.dispose()
    return keys


@contextmanager
def _litellm(
    name: str,
    home: Path,
    config: Path,
    environment: Mapping[str, str],
    setup: Setup,
    keys: Mapping[str, str],
    redis_url: str | None = None,
) -> Iterator[Server]:
    port = _free_port()
    litellm = str(Path(sys.executable).with_name("litellm"))
    command: list[str | Path] = [litellm, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    first = _first(setup, ROOT / "bench" / "stock_site", ROOT)
    with _served(
        name, home, command, port, {**_plain(), **STAY_HOME, **first, **environment}, keys, redis_url
    ) as server:
        yield server


@contextmanager
def _served(
    name: str,
    home: Path,
    command: list[str | Path],
    port: int,
    environment: Mapping[str, str],
    keys: Mapping[str, str],
    redis_url: str | None = None,
) -> Iterator[Server]:
    log = home / "log"
    with running(command, environment, log) as process:
        start_s = wait_until(lambda: _is_alive(port), process, log, START_S)
        pids = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        yield Server(name, _chat(port), {"unknown": UNKNOWN_KEY, **keys}, tuple(pids), redis_url, start_s)


def _plain() -> dict[str, str]:
    return plain_environment(os.environ) | {"LITELLM_MASTER_KEY": MASTER_KEY}


def _ours(setup: Setup) -> dict[str, str]:
    return litellm_environment(_plain() | _first(setup, ROOT)) | dict(setup.environment)


def _hidden() -> dict[str, str]:
    return {"BENCH_HIDDEN": ",".join(HIDDEN)}


def _first(setup: Setup, *paths: Path) -> dict[str, str]:
    given = [*setup.paths, *map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(given)} if given else {}


def _write(home: Path, config: Mapping[str, Any]) -> Path:
    path = home / "config.yaml"
    path.write_text(yaml.safe_dump(dict(config)))
    return path


def _chat(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1/chat/completions"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _is_alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
