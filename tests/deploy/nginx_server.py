"""A real nginx with the files of deploy/nginx, but for ports, certificate and the proxies behind it."""

import datetime
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.deploy.tools import DEPLOY, tool
from tests.system.gateway_process import wait_until

FILES = DEPLOY / "nginx"
NAME = "localhost"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Certificate and key for `localhost`, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown, secret = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return shown, secret


class Nginx:
    """Starts it in `folder` and ends it; use it in a `with`.

    Args:
        proxies: `host:port` of each; words behind them (`down`, `max_fails=1`) are kept.
        operators: lines instead of those of scalix/operators.conf; None: those.
    """

    def __init__(self, folder: Path, proxies: Sequence[str], operators: str | None = None) -> None:
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://{NAME}:{self.port}"
        shutil.copytree(FILES, folder / "etc")
        (folder / "run").mkdir()
        self.certificate, key = self_signed(folder)
        (folder / "etc/scalix/tls.conf").write_text(
            f"listen 127.0.0.1:{self.port} ssl http2;\nserver_name {NAME};\n"
            f"ssl_certificate {self.certificate};\nssl_certificate_key {key};\n"
        )
        plain = (folder / "etc/scalix/plain.conf").read_text()
        plain = plain.replace("listen 8080;", f"listen 127.0.0.1:{self.plain_port};")
        (folder / "etc/scalix/plain.conf").write_text(plain.replace("    listen [::]:8080;\n", ""))
        if operators is not None:
            (folder / "etc/scalix/operators.conf").write_text(operators)
        self.write_proxies(proxies)
        self._process: subprocess.Popen[bytes] | None = None

    def write_proxies(self, proxies: Sequence[str]) -> None:
        """Into scalix/upstream.conf, for the next start or reload."""
        lines = "".join(f"server {proxy};\n" for proxy in proxies)
        (self.folder / "etc/scalix/upstream.conf").write_text(lines)

    def command(self, *more: str) -> list[str]:
        """As deploy/compose.yaml starts it."""
        return [
            *(tool("nginx", "nginx"), "-e", "stderr", "-p", f"{self.folder / 'run'}/"),
            *("-c", str(self.folder / "etc/nginx.conf"), *more),
        ]

    def check(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run(self.command("-t"), capture_output=True, text=True)

    def reload(self) -> None:
        """Reads the files again; connections in use end where they are."""
        done = subprocess.run(self.command("-s", "reload"), capture_output=True, text=True)
        assert 0 == done.returncode, done.stderr

    def output(self) -> str:
        """Access log and errors."""
        return (self.folder / "nginx.out").read_text(errors="replace")

    def trust(self) -> ssl.SSLContext:
        """What holds its certificate for good."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @contextmanager
    def tls(self, trust: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
        """A bare connection, for what no HTTP client would send."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        with raw, (trust or self.trust()).wrap_socket(raw, server_hostname=NAME) as spoken:
            yield spoken

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """An HTTPS client that trusts it, with this key."""
        credential = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.url, headers={**credential, **headers}, verify=self.trust(), timeout=60
        )

    def __enter__(self) -> Self:
        with (self.folder / "nginx.out").open("wb") as sink:
            self._process = subprocess.Popen(
                self.command("-g", "daemon off;"), stdout=sink, stderr=subprocess.STDOUT
            )
        wait_until(self._is_listening)
        return self

    def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"nginx did not start:\n{self.output()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
