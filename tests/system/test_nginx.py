"""A real nginx with the files of deploy/ before a real gateway."""

import json
import socket
import ssl
import uuid
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.deploy.nginx_server import NAME, Nginx, free_port
from tests.system.asking import CHAT, MODEL, ask, records
from tests.system.gateway_process import MASTER_KEY, GatewayProcess, wait_until

SPOOFED = {"x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9", "forwarded": "for=203.0.113.9"}


@pytest.fixture(scope="module")
def nginx(gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """Two proxies behind one address; of one nobody is at home."""
    proxies = [f"127.0.0.1:{free_port()} max_fails=1000", _address(gateway)]
    with Nginx(tmp_path_factory.mktemp("nginx"), proxies) as server:
        yield server


@pytest.fixture(scope="module")
def key(gateway: GatewayProcess) -> str:
    return gateway.new_key(user_id=f"nginx_{uuid.uuid4().hex}", tier="pro")


def test_calls_go_past_a_proxy_that_is_away_and_are_made_once(nginx, gateway):
    """A POST that no proxy has seen yet goes to the next one; the ledger has each once."""
    name = f"pro_{uuid.uuid4().hex}"
    with nginx.client(gateway.new_key(user_id=name, tier="pro")) as client:
        answers = [client.post(CHAT, json=ask()) for _ in range(6)]

    assert [200] * 6 == [answer.status_code for answer in answers]
    assert 6 == len(records(gateway, name))
    assert {"max-age=63072000"} == {answer.headers["strict-transport-security"] for answer in answers}


def test_a_post_that_reached_a_proxy_is_never_sent_again(gateway, tmp_path):
    """It may have been executed there, and a second one would be charged."""
    name = f"pro_{uuid.uuid4().hex}"
    key, body = gateway.new_key(user_id=name, tier="pro"), json.dumps(ask())
    head = f"POST {CHAT} HTTP/1.1\r\nhost: {NAME}\r\nauthorization: Bearer {key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as breaking:
        breaking.settimeout(20)
        proxies = [f"127.0.0.1:{breaking.getsockname()[1]}", f"{_address(gateway)} backup"]
        with Nginx(tmp_path, proxies) as nginx, nginx.client(key) as client:
            with nginx.tls() as tls:
                tls.sendall((head + body).encode())
                proxy, _ = breaking.accept()
                assert proxy.recv(65_536).startswith(b"POST ")
                proxy.close()
                answer = tls.recv(65_536)

            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"SERVICE_UNAVAILABLE"' in answer
            assert [] == records(gateway, name)
            breaking.close()
            # Now nobody is there at all, and the other proxy has it.
            assert 200 == client.post(CHAT, json=ask()).status_code


def test_a_stream_comes_chunk_by_chunk(nginx, gateway, provider, key):
    """What the provider has sent is with the client while the rest is not yet made."""
    body = ask("[demo tokens=4 hang_after=2]", stream=True)
    with nginx.client(key) as client:
        with client.stream("POST", CHAT, json=body) as answer:
            lines = answer.iter_lines()
            seen = [next(line for line in lines if '"content":"' in line) for _ in range(2)]

            assert 2 == len(seen)
            assert "no" == answer.headers["x-accel-buffering"]
            assert "content-encoding" not in answer.headers
            assert 0 < provider.in_flight()
        # Who hangs up before nginx hangs up behind it as well.
        wait_until(lambda: 0 == provider.in_flight())


def test_only_tls_1_3_is_spoken(nginx):
    """An old client is refused while it shakes hands."""
    old = nginx.trust()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), nginx.tls(old):
        pass
    with nginx.tls() as tls:
        assert "TLSv1.3" == tls.version()


def test_without_tls_there_is_a_sentence_and_no_redirect(nginx):
    """A client that sent its key in the clear is not helped to go on with it."""
    answer = httpx.get(f"http://127.0.0.1:{nginx.plain_port}/v1/models")

    assert 400 == answer.status_code
    assert "HTTPS only" in answer.json()["error"]["message"]


def test_a_forged_address_counts_for_nothing(tmp_path):
    """The proxies hear the address that nginx saw, whatever the client wrote."""
    forged = "".join(f"{name}: {value}\r\n" for name, value in SPOOFED.items())
    kept = "x-scalix-request-id: r-1:attempt-1\r\nupgrade: h2c\r\n"
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(20)
        with Nginx(tmp_path, [f"127.0.0.1:{proxy.getsockname()[1]}"]) as nginx, nginx.tls() as tls:
            tls.sendall(f"GET /v1/health HTTP/1.1\r\nhost: {NAME}\r\n{forged}{kept}\r\n".encode())
            connection, _ = proxy.accept()
            with connection:
                heard = connection.recv(65_536).decode().lower()

    assert "203.0.113.9" not in heard
    assert "\r\nx-forwarded-for: 127.0.0.1\r\n" in heard
    assert "\r\nx-scalix-request-id: r-1:attempt-1\r\n" in heard
    assert "upgrade" not in heard


def test_the_operators_addresses_are_closed_to_strangers(gateway, tmp_path):
    """Also with the operator's key, and however they are written."""
    written = (
        "/metrics",
        "//metrics",
        "/%6detrics",
        "/x/../metrics",
        "/scalix/admin/outbox",
        "/scalix/%61dmin",
    )
    with Nginx(tmp_path, [_address(gateway)], operators="deny all;") as nginx:
        for path in written:
            with nginx.tls() as tls:
                head = f"GET {path} HTTP/1.1\r\nhost: {NAME}\r\nauthorization: Bearer {MASTER_KEY}\r\n"
                tls.sendall(f"{head}connection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda tls=tls: tls.recv(65_536), b""))

            assert answer.startswith(b"HTTP/1.1 403 "), path
            assert b"Strict-Transport-Security" in answer
            assert b'"PERMISSION_DENIED"' in answer


def test_the_operators_networks_reach_them_with_the_key(nginx):
    """Here the loopback; the key is asked for by the gateway all the same."""
    with nginx.client(MASTER_KEY) as operator, nginx.client() as stranger:
        assert 200 == operator.get("/metrics").status_code
        assert 200 == operator.get("/scalix/admin/outbox").status_code
        assert 401 == stranger.get("/metrics").status_code


def test_a_body_beyond_the_bound_is_refused_before_it_is_read(nginx, key):
    """With the same code that the gateway gives; one at the bound goes through to it."""
    with nginx.client(key) as client:
        beyond = client.post(CHAT, content=b" " * 10_000_001)
        at_bound = client.post(CHAT, content=b" " * 10_000_000)

    assert (413, "REQUEST_TOO_LARGE") == (beyond.status_code, beyond.json()["error"]["code"])
    assert 400 == at_bound.status_code
    assert at_bound.headers["x-scalix-request-id"]


def test_a_web_socket_reaches_the_gateway(nginx, key):
    """Which refuses a user's key on LiteLLM's own one in its own way."""
    address = f"wss://{NAME}:{nginx.port}/v1/realtime?model={MODEL}"
    headers = {"authorization": f"Bearer {key}"}
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(address, ssl=nginx.trust(), additional_headers=headers, proxy=None),
    ):
        pass

    assert 403 == refused.value.response.status_code
    # After the proxy that is away, which it may have tried first.
    wait_until(lambda: '403","first_byte_s' in nginx.output())


def test_no_log_holds_a_query_a_key_or_an_address(nginx, key):
    """Not even of a request whose client put its key there."""
    with nginx.client(key, **SPOOFED) as client:
        assert 400 == client.get("/v1/models", params={"api_key": "sk-secret-in-query"}).status_code
    logged = wait_until(lambda: found if _told(found := nginx.output()) else None)

    assert "sk-secret" not in logged
    assert key not in logged
    assert {"127.0.0.0/24"} == {line["network"] for line in _lines(logged)}
    assert all(line["request_id"] for line in _told(logged))


def _lines(logged: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in logged.splitlines() if line.startswith("{")]


def _told(logged: str) -> list[dict[str, str]]:
    """Of what reached a proxy; what came without TLS did not."""
    return [line for line in _lines(logged) if line["path"] == "/v1/models" and line["tls"]]


def _address(gateway: GatewayProcess) -> str:
    return gateway.url.removeprefix("http://")
