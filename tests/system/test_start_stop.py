"""Starting and stopping, driven from outside: real processes, killed one by one."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.launcher_tools import (
    BROKEN_APP,
    REAL_APP,
    Launcher,
    is_running,
    wait_until,
)

GONE_WITHIN_S = 10.0


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.clean_up()


class SlowCall(threading.Thread):
    """A call in flight that is answered once `release` is called."""

    def __init__(self, launcher: Launcher) -> None:
        super().__init__(daemon=True)
        self._gate = launcher.folder / "gate"
        self._url = f"{launcher.state()['url']}/slow"
        self.text = ""
        self.start()
        wait_until(lambda: self.text)

    def run(self) -> None:
        with (
            httpx.Client(timeout=60, trust_env=False) as client,
            client.stream("GET", self._url, params={"until": str(self._gate)}) as response,
        ):
            try:
                for part in response.iter_text():
                    self.text += part
            except httpx.TransportError:
                self.text += "cut"

    def release(self) -> None:
        self._gate.touch()


def refuses_connections(url: str) -> bool:
    try:
        httpx.get(f"{url}/pid", timeout=1, trust_env=False)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def all_gone(pids: list[int]) -> bool:
    return not any(map(is_running, pids))


class TestTheRealGateway:
    """One demo gateway as shipped, LiteLLM and all; the last test of its life kills it."""

    def test_from_the_command_to_an_answer_and_to_the_end(self, tmp_path: Path) -> None:
        """The printed curl works; --status is content; a call in flight survives --stop; nothing is left."""
        launcher = Launcher(tmp_path, REAL_APP)
        try:
            started = launcher.run("--demo", "--port", "0", "--workers", "2", "--detach")

            assert 0 == started.returncode, started.stderr
            assert "DEMO" in started.stdout.splitlines()[1]
            curl = started.stdout.partition("Try it:\n")[2].partition("\n\n")[0]
            answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=30)
            assert "assistant" == json.loads(answer.stdout)["choices"][0]["message"]["role"], answer.stdout

            status = launcher.run("--status", "--json")
            assert 0 == status.returncode
            said = json.loads(status.stdout)
            assert (True, True) == (said["running"], said["healthy"])
            assert "ok" == said["health"]["status"]

            pids = launcher.pids_of(launcher.state())
            body = {
                "model": "free-gemini-flash",
                "messages": [{"role": "user", "content": "Hello [demo delay_per_token=0.2 tokens=10]"}],
                "stream": True,
            }
            key = {"Authorization": "Bearer sk-scalix-dev-123456789"}
            with httpx.stream(
                "POST",
                f"{said['url']}/v1/chat/completions",
                json=body,
                headers=key,
                timeout=30,
                trust_env=False,
            ) as response:
                lines = response.iter_lines()
                first = next(lines)
                stopping = subprocess.Popen(launcher.command("--stop"), stdout=subprocess.PIPE, cwd=tmp_path)
                wait_until(lambda: refuses_connections(said["url"]))
                rest = list(lines)
            stopping.communicate(timeout=30)

            assert first.startswith("data: ")
            assert "data: [DONE]" in rest
            assert 0 == stopping.returncode
            assert all_gone(pids)
            assert 3 == launcher.run("--status").returncode
            assert "sk-scalix-dev" not in launcher.log()
        finally:
            launcher.run("--stop")
            launcher.clean_up()


class TestStart:
    def test_the_made_key_is_kept_and_never_shown(self, launcher: Launcher) -> None:
        """Without a master key one is made, private, told by its place, and taken again by the next start."""
        launcher.start()
        file = launcher.data_dir / "master_key"
        key = file.read_text().strip()
        values = dict(line.split("=", 1) for line in launcher.get("/environment").splitlines() if "=" in line)
        launcher.get("/log", text=f"key {key}.")

        assert key == values["LITELLM_MASTER_KEY"]
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        assert 0o700 == stat.S_IMODE(launcher.data_dir.stat().st_mode)
        assert f"$(cat {file})" in launcher.terminal()
        wait_until(lambda: launcher.log().count("key [redacted].") == 2)
        assert key not in launcher.terminal() + launcher.log()
        assert 0o600 == stat.S_IMODE((launcher.data_dir / "logs" / "litellm.log").stat().st_mode)

        assert 0 == launcher.run("--stop").returncode
        launcher.start()
        assert key == file.read_text().strip()

    def test_a_second_start_is_refused(self, launcher: Launcher) -> None:
        """On the same data directory or port it says so, exits 1 and leaves nothing."""
        process = launcher.start()
        port = launcher.state()["url"].rpartition(":")[2]
        other = Launcher(launcher.folder, data_dir=launcher.folder / "other")

        same_dir = launcher.run("--port", "0")
        same_port = other.run("--port", port)

        assert 1 == same_dir.returncode
        assert f"pid {process.pid}" in same_dir.stderr
        assert 1 == len(same_dir.stderr.splitlines())
        assert 1 == same_port.returncode
        assert f"port {port} on 127.0.0.1 is in use" in same_port.stderr
        assert 1 == len(same_port.stderr.splitlines())
        assert not other.data_dir.exists()
        assert 0 == launcher.run("--status").returncode

    def test_a_worker_that_cannot_start_stops_the_start(self, tmp_path: Path) -> None:
        """One clear line, the end of the log without secrets, and no process left."""
        launcher = Launcher(tmp_path, BROKEN_APP)
        process = launcher.begin()
        try:
            assert 1 == process.wait(30)
            assert "A worker failed to start." == launcher.terminal().splitlines()[0]
            assert "  a key: [redacted]" in launcher.terminal().splitlines()
            assert not (launcher.data_dir / "launcher.json").exists()
            assert 3 == launcher.run("--status").returncode
        finally:
            launcher.clean_up()

    def test_a_damaged_redis_file_is_told(self, launcher: Launcher) -> None:
        """The embedded Redis cannot read its data: the line names the place and the mend."""
        folder = launcher.data_dir / "redis"
        folder.mkdir(parents=True, mode=0o700)
        launcher.data_dir.chmod(0o700)
        (folder / "appendonly.aof").write_bytes(b"no append-only file\r\n" * 50)

        done = launcher.run("--port", "0")

        assert 1 == done.returncode
        assert f"{folder}: the embedded Redis cannot read its data, it is damaged." in done.stderr
        assert 1 == len(done.stderr.splitlines())

    def test_an_external_redis_is_used_or_told(self, launcher: Launcher) -> None:
        """REDIS_URL: no Redis of ours is started; one that does not answer stops the start."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        done = launcher.run("--port", "0", REDIS_URL=f"redis://:hidden-password@127.0.0.1:{port}/0")

        assert 1 == done.returncode
        assert f"127.0.0.1:{port}" in done.stderr
        assert "hidden-password" not in done.stderr
        assert not launcher.data_dir.exists()

        lender = Launcher(launcher.folder, data_dir=launcher.folder / "lender")
        try:
            lender.start()
            launcher.start(REDIS_URL=f"unix://{lender.state()['redis_socket']}")
            assert launcher.state()["redis_pid"] is None
            launcher.get("/store", name="shared", value="yes")
            assert "b'yes'" == lender.get("/load", name="shared")
        finally:
            lender.clean_up()

    def test_detached_it_lets_go_of_the_terminal(self, launcher: Launcher) -> None:
        """--detach returns once ready, in a session of its own; a long data directory is no obstacle."""
        launcher.data_dir = launcher.folder / ("long" * 25)

        started = launcher.run("--port", "0", "--detach")  # returns only when nobody holds its streams

        assert 0 == started.returncode, started.stderr
        state = launcher.state()
        assert os.getsid(state["pid"]) == state["pid"]
        short = Path(state["redis_socket"]).parent
        assert not short.is_relative_to(launcher.data_dir)
        assert 0o700 == stat.S_IMODE(short.stat().st_mode)
        launcher.get("/store", name="x", value="1")
        assert 0 == launcher.run("--stop").returncode
        assert not short.exists()
        assert all_gone(launcher.pids_of(state))

    def test_detached_it_tells_why_it_failed(self, tmp_path: Path) -> None:
        """The reason reaches the terminal that asked, with exit code 1."""
        launcher = Launcher(tmp_path, BROKEN_APP)

        done = launcher.run("--port", "0", "--detach")

        assert 1 == done.returncode
        assert "A worker failed to start." == done.stderr.splitlines()[0]


class TestStop:
    @pytest.mark.parametrize("how", ["--stop", "SIGTERM", "Ctrl-C"])
    def test_calls_in_flight_are_finished(self, launcher: Launcher, how: str) -> None:
        """However it is asked to end: nobody new, everybody in flight to the end, exit 0, nothing left."""
        process = launcher.start()
        state = launcher.state()
        call = SlowCall(launcher)

        stopping = None
        if how == "--stop":
            stopping = subprocess.Popen(launcher.command("--stop"), stdout=subprocess.PIPE, text=True)
        elif how == "SIGTERM":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
        wait_until(lambda: refuses_connections(state["url"]))
        call.release()
        call.join(20)

        assert "begun done" == call.text
        assert 0 == process.wait(20)
        if stopping is not None:
            assert "Stopped.\n" == stopping.communicate(timeout=20)[0]
            assert 0 == stopping.returncode
        assert all_gone(launcher.pids_of(state))
        assert not (launcher.data_dir / "launcher.json").exists()

    def test_a_second_ctrl_c_does_not_wait(self, launcher: Launcher) -> None:
        """The call is cut, and everything ends all the same."""
        process = launcher.start()
        state = launcher.state()
        call = SlowCall(launcher)

        # What the terminal sends reaches the launcher alone; it decides for the others.
        assert process.pid not in {os.getsid(pid) for pid in launcher.pids_of(state) if pid != process.pid}
        os.killpg(process.pid, signal.SIGINT)
        wait_until(lambda: refuses_connections(state["url"]))
        os.killpg(process.pid, signal.SIGINT)

        assert 0 == process.wait(10)
        call.join(10)
        assert "begun cut" == call.text
        assert all_gone(launcher.pids_of(state))

    def test_ctrl_c_while_starting_leaves_nothing(self, launcher: Launcher) -> None:
        """A start that is given up ends what it has begun."""
        process = launcher.begin()
        wait_until((launcher.data_dir / "launcher.json").exists)

        os.killpg(process.pid, signal.SIGINT)

        assert 0 == process.wait(20)
        assert not (launcher.data_dir / "launcher.json").exists()


class TestDeaths:
    def test_whoever_is_killed_is_replaced(self, launcher: Launcher) -> None:
        """A worker, Redis with its data, the keeper with the log; calls and lines go on."""
        launcher.start("--workers", "2")
        launcher.get("/store", name="kept", value="by-redis")

        first = launcher.state()
        os.kill(first["workers"][0], signal.SIGKILL)
        second = wait_until(lambda: self.other(launcher, first, "workers"))
        assert 2 == len(second["workers"])

        os.kill(first["redis_pid"], signal.SIGKILL)
        third = wait_until(lambda: self.other(launcher, second, "redis_pid"))
        assert "b'by-redis'" == launcher.get("/load", name="kept")

        os.kill(first["keeper_pid"], signal.SIGKILL)
        launcher.get("/log", text="while the keeper was away")
        wait_until(lambda: self.other(launcher, third, "keeper_pid"))
        fourth = wait_until(lambda: self.other(launcher, third, "redis_pid"))
        assert "b'by-redis'" == launcher.get("/load", name="kept")
        launcher.get("/log", text="and after")

        wait_until(lambda: launcher.log().count("while the keeper was away") == 2)
        wait_until(lambda: launcher.log().count("and after") == 2)
        assert 0 == launcher.run("--status").returncode
        assert 0 == launcher.run("--stop").returncode
        assert all_gone([*launcher.pids_of(first), *launcher.pids_of(second), *launcher.pids_of(fourth)])

    def test_a_killed_launcher_is_followed_by_all(self, launcher: Launcher) -> None:
        """No process is left after 10 s, Redis last; the next start takes over at once, with the data."""
        launcher.start("--demo")
        launcher.get("/store", name="kept", value="by-redis")
        call = SlowCall(launcher)

        pids = launcher.kill_launcher()
        again = launcher.start("--demo")

        assert all_gone(pids)
        assert "waiting for its processes to end" in launcher.terminal()
        assert "begun cut" == call.text
        assert "b'by-redis'" == launcher.get("/load", name="kept")
        state = launcher.state()
        assert again.pid == state["pid"]

        idle = launcher.kill_launcher()
        wait_until(lambda: all_gone(idle), GONE_WITHIN_S)
        assert 3 == launcher.run("--status").returncode
        assert "No gateway runs" in launcher.run("--stop").stdout

    def test_workers_that_die_again_and_again_end_the_gateway(self, launcher: Launcher) -> None:
        """The first had served; then five die before they do: one clear line, exit 1."""
        process = launcher.start("--workers", "1")
        killed: set[int] = set()

        def kill_the_next() -> bool:
            with suppress(FileNotFoundError):  # removed at the end
                for pid in set(launcher.state()["workers"]) - killed:
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
            return process.poll() is not None

        wait_until(kill_the_next, 30)

        assert 1 == process.returncode
        assert 1 + 5 == len(killed)
        assert re.search(
            r"^Workers die again and again before they serve, the last one by SIGKILL\.$",
            launcher.terminal(),
            re.M,
        )

    def test_whoever_served_is_replaced_however_often_it_is_killed(self, launcher: Launcher) -> None:
        """A gateway that gave up would serve nobody at all."""
        launcher.start("--workers", "1")
        for _ in range(6):
            before = launcher.state()
            launcher.get("/pid")
            assert 0 == launcher.run("--status").returncode
            os.kill(before["workers"][0], signal.SIGKILL)
            os.kill(before["redis_pid"], signal.SIGKILL)
            wait_until(lambda before=before: self.other(launcher, before, "workers"))
            wait_until(lambda before=before: self.other(launcher, before, "redis_pid"))

        launcher.get("/pid")
        assert 0 == launcher.run("--status").returncode
        assert 0 == launcher.run("--stop").returncode

    def test_hangup_renews_the_workers_one_by_one(self, launcher: Launcher) -> None:
        """In the background SIGHUP brings new workers; no call is refused meanwhile."""
        launcher.start("--workers", "2")
        before = launcher.state()
        call = SlowCall(launcher)

        os.kill(before["pid"], signal.SIGHUP)
        wait_until(
            lambda: launcher.get("/pid") and not set(launcher.state()["workers"][:2]) & set(before["workers"])
        )
        call.release()
        call.join(10)

        assert "begun done" == call.text
        wait_until(lambda: len(launcher.state()["workers"]) == 2)

    @staticmethod
    def other(launcher: Launcher, before: dict[str, Any], name: str) -> dict[str, Any]:
        """The state, once this differs from before; empty until then."""
        state = launcher.state()
        return state if state[name] and state[name] != before[name] else {}


def test_the_environment_of_a_worker(launcher: Launcher) -> None:
    """Real address, local Redis, env file's values; LiteLLM's database and its calls home are off."""
    (launcher.folder / "scalix_config.env").write_text("SOME_PROVIDER_KEY=from-the-file\n")

    launcher.start(DATABASE_URL="postgresql://litellms/own", SCALIX_DEMO_URL="http://stale")
    values = dict(line.split("=", 1) for line in launcher.get("/environment").splitlines() if "=" in line)
    state = launcher.state()

    assert f"http://{values['LITELLM_HOST']}:{values['LITELLM_PORT']}" == state["url"]
    assert f"unix://{state['redis_socket']}" == values["SCALIX_REDIS_URL"]
    assert "from-the-file" == values["SOME_PROVIDER_KEY"]
    assert str(state["pid"]) == values["SCALIX_LAUNCHER_PID"]
    assert str(launcher.data_dir) == values["SCALIX_DATA_DIR"]
    assert "PRODUCTION" == values["LITELLM_MODE"]
    assert not {"DATABASE_URL", "SCALIX_DEMO_URL"} & set(values)
    assert 1 == launcher.terminal().count("DATABASE_URL is not passed on")
    assert "postgresql://" not in launcher.terminal()


def test_what_is_no_http_is_answered_in_our_form(launcher: Launcher) -> None:
    """The workers take connections by our own protocol."""
    launcher.start()
    parts = httpx.URL(launcher.state()["url"])
    with socket.create_connection((parts.host, parts.port or 0), timeout=10) as client:
        client.sendall(b"GARBAGE\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "INVALID_REQUEST" == json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"]
