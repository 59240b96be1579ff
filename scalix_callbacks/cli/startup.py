"""The start, step by step; the stop is the same steps backwards."""

import os
import resource
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

from uvicorn import Config

from scalix_callbacks.cli import embedded_redis, file_lock
from scalix_callbacks.cli.banner import ready_text
from scalix_callbacks.cli.child_environment import LITELLM_DATABASES, replace_environment, worker_environment
from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.demo_process import DemoProcess
from scalix_callbacks.cli.detach import Background
from scalix_callbacks.cli.external_redis import check_redis, setting_of
from scalix_callbacks.cli.http_protocol import HTTP_PROTOCOL
from scalix_callbacks.cli.keeper_handle import KeeperHandle
from scalix_callbacks.cli.keeper_task import KeeperTask
from scalix_callbacks.cli.key_source import find_key
from scalix_callbacks.cli.ledger_database import opened
from scalix_callbacks.cli.listener import BACKLOG, bind, local_address, url_of
from scalix_callbacks.cli.log_pipe import LogPipe
from scalix_callbacks.cli.log_tail import size_of, tail_since
from scalix_callbacks.cli.master_key import kept_master_key
from scalix_callbacks.cli.running import Running, already_running, find_running
from scalix_callbacks.cli.sample_accounts import make_sample_accounts
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.start_options import Options
from scalix_callbacks.cli.start_rules import check_demo_address
from scalix_callbacks.cli.state import State, read_state, write_state
from scalix_callbacks.cli.stop_signals import StopRequested, StopSignals
from scalix_callbacks.cli.supervisor import Foundation, Serving, Supervisor
from scalix_callbacks.cli.websocket_protocol import WEBSOCKET_PROTOCOL
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import migrate
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.secrets import secrets

OLD_CHILDREN_TIMEOUT_S = 12.0
"""The children of a killed launcher end within 10 s."""
WORKER_SILENCE_S = 60
"""A worker that answers no ping for so long hangs."""
KEEP_ALIVE_S = 65
"""Longer than the usual 60 s of a reverse proxy, which else meets connections that are just closing."""
WEBSOCKET_PING_S = 30.0
OPEN_FILES = 65_536
"""Each stream is two open files; the usual soft limit of 1,024 is none too many."""

Note = Callable[[str], None]


def start(
    options: Options,
    values: Mapping[str, str],
    settings: Settings,
    console: Console,
    app: str,
    background: Background | None,
) -> int:
    """Starts everything, serves until asked to stop, ends everything. Returns 0.

    Args:
        values: the environment with the env files' values.
        app: the import string of the ASGI app.
        background: to be told when it is ready; None: this is the foreground.

    Raises:
        StartError, DatabaseError: why not, or why not any longer; nothing is left running then.
    """
    log_size = size_of(settings.environment.log_file)
    try:
        with StopSignals() as signals, ExitStack() as stack:
            try:
                _Start(options, values, settings, console, background, signals, stack).run(app)
            except StopRequested:
                return 0
            finally:
                signals.collect()  # the end must not be interrupted half-way
    except StartError as error:
        if error.wants_log:
            error.log_lines = tail_since(settings.environment.log_file, log_size)
        raise
    return 0


class _Start:
    """One start. What is begun is pushed on `stack`, which ends it."""

    def __init__(
        self,
        options: Options,
        values: Mapping[str, str],
        settings: Settings,
        console: Console,
        background: Background | None,
        signals: StopSignals,
        stack: ExitStack,
    ) -> None:
        self._options = options
        self._values = values
        self._settings = settings
        self._console = console
        self._background = background
        self._signals = signals
        self._stack = stack
        self._data_dir = DataDir(settings.data_dir)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._is_ready = False
        self._written: State | None = None

    def run(self, app: str) -> None:
        environment = self._settings.environment
        if (running := find_running(self._data_dir)) is not None:
            raise already_running(self._data_dir, running)
        check_demo_address(self._settings)
        listener = self._stack.enter_context(bind(environment.host, environment.port))
        redis_server = None
        if environment.redis_url is None:
            redis_server = embedded_redis.redis_server()
        else:
            check_redis(environment.redis_url, setting_of(self._values))
        self._stack.callback(os.umask, os.umask(0o077))
        self._data_dir.prepare()
        self._claim()
        self._prepare_database()
        self._empty_metrics()
        key = find_key(self._settings, os.environ, self._options.env_file, self._data_dir.master_key_file)
        master_key = environment.master_key or kept_master_key(self._data_dir.master_key_file)
        self._drop_litellms_database()

        redis_socket = None
        if redis_server is not None:
            redis_socket = embedded_redis.place_socket(self._data_dir.redis)
            self._stack.callback(embedded_redis.remove_socket, redis_socket)
        redis_url = (
            embedded_redis.url_of_socket(redis_socket) if redis_socket else environment.redis_url or ""
        )
        host, port = local_address(listener)
        variables = worker_environment(
            self._values,
            self._settings,
            master_key=master_key,
            redis_url=redis_url,
            metrics_dir=self._data_dir.metrics,
            host=listener.getsockname()[0],
            port=port,
        )
        log = LogPipe()
        self._stack.callback(log.close)
        note = _Note(log, self._console)
        hidden = secrets(self._settings.config, variables)
        task = KeeperTask(
            str(self._data_dir.path),
            str(environment.log_file),
            log.read_end,
            tuple(sorted(hidden)),
            redis_server,
            str(redis_socket) if redis_socket else None,
            str(environment.access_log) if environment.access_log else None,
        )
        keeper = KeeperHandle(task, log.write_end, note)
        self._stack.callback(keeper.end)
        keeper.wait_until_ready()

        _raise_open_files_limit()
        self._console.move()
        log.redirect()
        foundations: list[Foundation] = [keeper]
        demo = self._demo_provider(note)
        if demo is not None:
            foundations.append(demo)
            variables["SCALIX_DEMO_URL"] = demo.url
        self._stack.callback(replace_environment, dict(os.environ))
        replace_environment(variables)

        url = url_of(host, port)

        def tell_state() -> None:
            self._write_state(
                State(
                    pid=os.getpid(),
                    url=url,
                    started_at=self._started_at,
                    log_file=str(environment.log_file),
                    is_demo=self._settings.is_demo,
                    shutdown_timeout_s=environment.shutdown_timeout_s + environment.readiness_grace_s,
                    is_ready=self._is_ready,
                    workers=supervisor.worker_pids,
                    keeper_pid=keeper.pid,
                    redis_pid=keeper.redis_pid,
                    redis_socket=str(redis_socket) if redis_socket else None,
                    demo_provider_pid=demo.pid if demo else None,
                )
            )

        def tell_ready() -> None:
            self._is_ready = True
            tell_state()
            note(f"Ready at {url}.", for_log_only=True)
            command = self._stop_command() if self._background else None
            in_colour = self._console.is_terminal and not self._values.get("NO_COLOR")
            self._console.say(
                ready_text(self._settings, url=url, key=key, stop_command=command, in_colour=in_colour)
            )
            if self._background is not None:
                self._console.close()
                log.forget_terminal()
                self._background.ready()

        supervisor = Supervisor(
            self._serving(listener, app), self._signals, foundations, note, on_change=tell_state
        )
        self._stack.callback(self._data_dir.state_file.unlink, missing_ok=True)
        self._signals.collect()
        try:
            supervisor.run(tell_ready)
        except StartError as error:
            note(f"The gateway ends: {error}", for_log_only=True)
            raise
        note("Stopped.", for_log_only=True)

    # The data directory

    def _claim(self) -> None:
        lock = file_lock.claim(self._data_dir.launcher_lock)
        if lock is None:
            running = find_running(self._data_dir) or Running(0, None)
            raise already_running(self._data_dir, running)
        self._stack.callback(os.close, lock)
        self._end_of_old_children()
        old = read_state(self._data_dir.state_file)
        if old is not None:
            if old.redis_socket is not None:
                embedded_redis.remove_socket(Path(old.redis_socket))
            self._data_dir.state_file.unlink(missing_ok=True)

    def _end_of_old_children(self) -> None:
        """Waits for what a killed launcher has left."""
        paths = (self._data_dir.children_lock, self._data_dir.keeper_lock)
        if all(file_lock.is_free(path) for path in paths):
            return
        self._console.say("An earlier gateway was killed here; waiting for its processes to end.")
        for path in paths:
            lock = file_lock.take(path, OLD_CHILDREN_TIMEOUT_S)
            if lock is None:
                raise StartError(
                    f"{path}: processes of a killed gateway do not end. End them by hand"
                    f" (lsof {shlex.quote(str(path))} names them)."
                )
            os.close(lock)

    def _prepare_database(self) -> None:
        with opened(self._settings) as engine:
            migrate(engine)
            if self._settings.is_demo:
                make_sample_accounts(Accounts(engine))

    def _empty_metrics(self) -> None:
        """They count from the start of the launcher on; what an earlier one left is not added up."""
        shutil.rmtree(self._data_dir.metrics, ignore_errors=True)
        self._data_dir.metrics.mkdir(exist_ok=True)

    # What is told

    def _drop_litellms_database(self) -> None:
        for name in LITELLM_DATABASES:
            if self._values.get(name):
                self._console.say(
                    f"{name} is not passed on: LiteLLM would want Prisma. Ours is SCALIX_DATABASE_URL."
                )

    def _write_state(self, state: State) -> None:
        if state != self._written:
            with suppress(OSError):  # a full disk must not end the gateway
                write_state(self._data_dir.state_file, state)
                self._written = state

    def _stop_command(self) -> str:
        words = ["python", sys.argv[0], "--stop"]
        if "SCALIX_DATA_DIR" in self._options.overrides:
            words += ["--data-dir", str(self._settings.data_dir)]
        if self._options.env_file is not None:
            words += ["--env-file", str(self._options.env_file)]
        return shlex.join(words)

    # What is served

    def _demo_provider(self, note: Note) -> DemoProcess | None:
        if not self._settings.is_demo:
            return None
        lock = file_lock.share(self._data_dir.children_lock)
        self._stack.callback(os.close, lock)
        demo = DemoProcess(lock, note)
        self._stack.callback(demo.end)
        return demo

    def _serving(self, listener: socket, app: str) -> Serving:
        environment = self._settings.environment
        config = Config(
            app,
            loop="uvloop",
            http=HTTP_PROTOCOL,
            ws=WEBSOCKET_PROTOCOL,
            lifespan="on",
            workers=environment.workers,
            log_config=_LOGGING,
            log_level=environment.log_level.lower(),
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            backlog=BACKLOG,
            ws_max_size=environment.max_body_bytes,
            ws_ping_interval=WEBSOCKET_PING_S,
            ws_ping_timeout=WEBSOCKET_PING_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(environment.shutdown_timeout_s),
            timeout_worker_healthcheck=WORKER_SILENCE_S,
        )
        return Serving(
            config,
            listener,
            self._data_dir.path,
            environment.shutdown_timeout_s,
            environment.readiness_grace_s,
            must_be_well=any(model.is_ready for model in self._settings.catalogue.models),
            hangup_stops=self._background is None and self._console.is_terminal,
        )


class _Note:
    """Tells the log, and the person at the terminal."""

    def __init__(self, log: LogPipe, console: Console) -> None:
        self._log = log
        self._console = console

    def __call__(self, text: str, *, for_log_only: bool = False) -> None:
        self._log.note(text)
        if not for_log_only:
            self._console.fail(text)


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "format": "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "default"}},
    "loggers": {"uvicorn": {"handlers": ["stderr"], "propagate": False}},
}


def _raise_open_files_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
