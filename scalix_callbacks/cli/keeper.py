"""The process that outlives a killed launcher: it holds the log and the embedded Redis.

Started by the launcher, told what to do by its first line of stdin (`KeeperTask`), it ends after the end of
stdin, whether the launcher closed it or died: once no worker is left, Redis last.
"""

import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from scalix_callbacks.access_log import MARK
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import EmbeddedRedis, remove_socket, why_it_ended
from scalix_callbacks.cli.file_lock import is_free, take
from scalix_callbacks.cli.keeper_task import ORDERLY, KeeperReport, KeeperTask, task_from, to_line
from scalix_callbacks.cli.log_sink import LogFile, LogSink
from scalix_callbacks.core.redact import Redactor

TICK_S = 0.1
LOCK_TIMEOUT_S = 5.0
CHILDREN_TIMEOUT_S = 8.0
REDIS_END_S = 1.5
REDIS_ORDERLY_END_S = 10.0
MAX_DEATHS = 5
DEATHS_WINDOW_S = 60.0

_READ_BYTES = 65_536
_MAX_TASK_BYTES = 1_000_000


def main() -> int:
    """Keep until stdin ends. Returns 0, or 1 after a failure, which is reported."""
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        # Whoever signals the whole group or service must not take Redis away from under the workers.
        signal.signal(number, signal.SIG_IGN)
    task = _read_task()
    if task is None:
        return 0
    try:
        log_file = LogFile(Path(task.log_file))
    except OSError as error:
        return _give_up(
            f"LITELLM_LOG_FILE: cannot write {task.log_file} ({error.strerror}). Name another file."
        )
    try:
        access_log = LogFile(Path(task.access_log)) if task.access_log else log_file
    except OSError as error:
        return _give_up(
            f"SCALIX_ACCESS_LOG: cannot write {task.access_log} ({error.strerror}). Name another file."
        )
    lock = take(DataDir(Path(task.data_dir)).keeper_lock, LOCK_TIMEOUT_S)
    if lock is None:
        return _give_up(f"{task.data_dir}: an earlier Redis on this directory does not end. End it by hand.")
    return _Keeper(task, lock, LogSink(_sorted(log_file, access_log), Redactor(task.secrets))).run()


def _sorted(log_file: LogFile, access_log: LogFile) -> Callable[[str], None]:
    """Lines of calls to their file, all others to the log."""

    def write(line: str) -> None:
        (access_log if line.startswith(MARK) else log_file).write(line)

    return write


class _Keeper:
    def __init__(self, task: KeeperTask, lock: int, sink: LogSink) -> None:
        self._task = task
        self._lock = lock
        self._sink = sink
        self._children_lock = DataDir(Path(task.data_dir)).children_lock
        self._redis: EmbeddedRedis | None = None
        self._redis_sink = LogSink(sink.feed_line, str)
        self._redis_answers = False
        self._redis_deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._ending_since: float | None = None
        self._is_orderly = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        os.set_blocking(self._task.log_pipe, False)
        os.set_blocking(0, False)
        self._selector.register(self._task.log_pipe, selectors.EVENT_READ, self._read_log)
        self._selector.register(0, selectors.EVENT_READ, self._read_orders)
        failure: str | None = None
        if self._task.redis_server is None:
            _report(KeeperReport())
        while failure is None and not self._may_end():
            failure = self._look_after_redis()
            for key, _ in self._selector.select(TICK_S):
                key.data()
        self._end_redis()
        self._read_log()
        self._sink.flush()
        return 0 if failure is None else _give_up(failure)

    def _may_end(self) -> bool:
        if self._ending_since is None:
            return False
        return time.monotonic() - self._ending_since > CHILDREN_TIMEOUT_S or is_free(self._children_lock)

    def _read_orders(self) -> None:
        data = _read(0)
        if data is None:
            return
        if ORDERLY in data:
            self._is_orderly = True
        if not data:
            self._selector.unregister(0)
            self._ending_since = time.monotonic()

    def _read_log(self) -> None:
        while data := _read(self._task.log_pipe):
            self._sink.feed(data)
            if len(data) < _READ_BYTES:
                return

    # Redis

    def _look_after_redis(self) -> str | None:
        """Starts it, and again after a death. Returns why there can be none."""
        if self._task.redis_server is None or self._task.redis_socket is None:
            return None
        if self._redis is None:
            return self._start_redis(self._task.redis_server, Path(self._task.redis_socket))
        code = self._redis.exit_code()
        if code is not None:
            return self._bury_redis(code)
        if not self._redis_answers and self._redis.answers():
            self._redis_answers = True
            _report(KeeperReport(redis_pid=self._redis.pid))
        return None

    def _start_redis(self, executable: str, socket_path: Path) -> str | None:
        try:
            self._redis = EmbeddedRedis(executable, self._folder, socket_path, self._lock)
        except OSError as error:
            return f"{executable}: cannot be started ({error.strerror}). Reinstall it, or set REDIS_URL."
        self._selector.register(self._redis.output, selectors.EVENT_READ, self._read_redis)
        return None

    def _bury_redis(self, code: int) -> str | None:
        reason = why_it_ended(code, self._forget_redis(), self._folder)
        self._sink.feed_line(f"keeper: Redis ended by itself. {reason}")
        if not self._redis_answers:  # one that did answer is started again, however often it is killed
            self._redis_deaths.append(time.monotonic())
        was_never_up = code > 0 and not self._redis_answers
        is_loop = len(self._redis_deaths) == MAX_DEATHS and (
            self._redis_deaths[-1] - self._redis_deaths[0] < DEATHS_WINDOW_S
        )
        self._redis_answers = False
        return reason if was_never_up or is_loop else None

    def _forget_redis(self) -> list[str]:
        assert self._redis is not None
        self._read_redis()
        self._redis_sink.flush()
        self._selector.unregister(self._redis.output)
        self._redis.close()
        self._redis = None
        return list(self._redis_sink.last_lines)

    def _read_redis(self) -> None:
        while self._redis is not None and (data := _read(self._redis.output)):
            self._redis_sink.feed(data)

    def _end_redis(self) -> None:
        if self._redis is not None:
            self._redis.ask_to_end()
            deadline = time.monotonic() + (REDIS_ORDERLY_END_S if self._is_orderly else REDIS_END_S)
            while self._redis.exit_code() is None:
                if time.monotonic() > deadline:
                    self._redis.kill()
                    break
                self._read_redis()
                time.sleep(TICK_S / 5)
            self._forget_redis()
        if self._task.redis_socket is not None and self._ending_since is not None:
            remove_socket(Path(self._task.redis_socket))

    @property
    def _folder(self) -> Path:
        return DataDir(Path(self._task.data_dir)).redis


def _read_task() -> KeeperTask | None:
    """The first line; None when the launcher was gone before it wrote it."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 1)
        if not data or len(line) > _MAX_TASK_BYTES:
            return None
        line += data
    return task_from(line)


def _read(descriptor: int) -> bytes | None:
    """What there is; empty at the end, None when there is nothing now."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None


def _give_up(failure: str) -> int:
    _report(KeeperReport(failure=failure))
    return 1


def _report(report: KeeperReport) -> None:
    try:
        os.write(1, to_line(report))
    except OSError:  # the launcher is gone: nobody wants to know
        return


if __name__ == "__main__":
    sys.exit(main())
