"""The demo provider as a process of its own, for tests."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from types import TracebackType
from typing import IO, Any, Self

import httpx

from scalix_callbacks.demo_provider.script import Script

START_S = 20.0
STOP_S = 5.0
POLL_S = 0.01
MAX_STDERR_BYTES = 100_000


class DemoProviderServer:
    """Starts a demo provider on a free port of the loopback and ends it; use it in a `with`.

    `key` None takes any key. Its methods block; in a test whose own event loop must go on meanwhile, call
    them by `asyncio.to_thread`. `stop` and `start` again give an outage: the port stays the same, scripts and
    tally are new.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client or LiteLLM's `api_base` takes."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The process id. Raises: RuntimeError, if it is not running."""
        if self._process is None:
            raise RuntimeError("the demo provider is not running; call start()")
        return self._process.pid

    def start(self) -> None:
        """Start the process and return when it answers. Raises: RuntimeError, with its stderr."""
        if self._process is not None:
            raise RuntimeError("the demo provider is running already")
        command = [sys.executable, "-m", "scalix_callbacks.demo_provider", "--parent-pid", str(os.getpid())]
        if self._key is not None:
            command += ["--key", self._key]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        # Listening before the process exists, so that its port is known and no connection is refused.
        with socket.create_server(("127.0.0.1", self._port)) as listener:
            self._port = listener.getsockname()[1]
            descriptor = listener.fileno()
            self._process = subprocess.Popen(
                [*command, "--fd", str(descriptor)],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
            )
        self._client = httpx.Client(base_url=self.url, timeout=START_S, trust_env=False)
        try:
            self._call("GET", "/_demo/health")
        except httpx.HTTPError as error:
            said = self.stderr()
            self.stop()
            raise RuntimeError(f"the demo provider did not start; it said: {said or 'nothing'}") from error

    def stop(self) -> None:
        """End the process; does nothing when it has ended."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def script(
        self,
        script: Script | None = None,
        /,
        *,
        times: int | None = None,
        model: str | None = None,
        match: str | None = None,
        **fields: Any,
    ) -> None:
        """Have the next `times` calls (None: all until the reset) follow a script.

        Either a whole one or its fields: `server.script(status=429, times=1)`. `model` is the name received
        upstream, `match` a part of the last user message. Counted scripts come before standing ones.

        Raises: ScriptError, for a bad field; httpx.HTTPStatusError, for a bad `times`, `model` or `match`.
        """
        chosen = Script(**fields) if script is None else script
        order = {"script": asdict(chosen), "times": times, "model": model, "match": match}
        self._call("POST", "/_demo/script", json=order)

    def tally(self, since: int = 0) -> dict[str, Any]:
        """`{"totals": {...}, "calls": [...]}`, the calls with an id above `since` in the order they ended."""
        return self._call("GET", "/_demo/tally", params={"since": since})

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls of the tally."""
        return list(self.tally(since)["calls"])

    def wait_for_calls(self, count: int, *, timeout_s: float = 5.0) -> list[dict[str, Any]]:
        """The calls of the tally, once at least `count` have ended. Raises: TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            calls = self.calls()
            if len(calls) >= count:
                return calls
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(calls)} calls ended within {timeout_s} s, not {count}")
            time.sleep(POLL_S)

    def in_flight(self) -> int:
        """How many model calls are running now."""
        return int(self._call("GET", "/_demo/health")["in_flight"])

    def wait_for_in_flight(self, count: int, *, timeout_s: float = 5.0) -> None:
        """Return once exactly `count` model calls are running. Raises: TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (running := self.in_flight()) != count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{running} calls are running after {timeout_s} s, not {count}")
            time.sleep(POLL_S)

    def requests(self) -> list[dict[str, Any]]:
        """The last 50 requests, newest last: `at`, `method`, `path`, `headers`, `body`."""
        return list(self._call("GET", "/_demo/requests")["requests"])

    def reset(self) -> None:
        """Forget scripts, tally and requests; calls that are still running will not be tallied."""
        for path in ("/_demo/script", "/_demo/tally", "/_demo/requests"):
            self._call("DELETE", path)

    def stderr(self) -> str:
        """What the process wrote to stderr so far."""
        if self._stderr is None:
            return ""
        # pread, as the process writes at the file position it shares with us.
        return os.pread(self._stderr.fileno(), MAX_STDERR_BYTES, 0).decode(errors="replace")

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        if self._client is None:
            raise RuntimeError("the demo provider is not running; call start()")
        response = self._client.request(method, path, **arguments)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body
