"""An operator finds out what happened to a request, by its id, in the log, in spans; never what was said."""

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scalix_callbacks.core.call_told import pseudonym
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, at_once, records, standing, user
from tests.system.gateway_process import (
    MASTER_KEY,
    UPSTREAM_KEY,
    GatewayProcess,
    admin,
    wait_until,
    write_config,
)

PROMPT = "The canary sings in the prompt."
ANSWER = "Hello from the Scalix demo"


def trace(gateway: GatewayProcess, id: str) -> list[dict[str, Any]]:
    """As soon as it is there."""
    with gateway.client() as operator:

        def told() -> Any:
            answer = operator.get(f"/scalix/admin/traces/{id}")
            return answer.json()["traces"] if answer.status_code == 200 else None

        return wait_until(told, 15)


def lines(gateway: GatewayProcess, request_id: str) -> list[dict[str, Any]]:
    """Of one request in the log, which takes a moment more."""

    def found() -> list[dict[str, Any]]:
        log = gateway.data_dir / "logs" / "litellm.log"
        written = [line for line in log.read_text().splitlines() if line.startswith('{"at":"')]
        return [json.loads(line) for line in written if request_id in line]

    return wait_until(found, 15)


def steps(told: dict[str, Any]) -> list[str]:
    return [step["step"] for step in told["steps"]]


def test_a_call_leaves_a_trace_and_a_line(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """Found by each of its ids, over the API and the command line; erased with its user."""
    provider.reset()
    name, key = user(limited, "pro")
    headers = {"x-scalix-client": "desktop-app", "x-scalix-version": "3.1", "x-scalix-session": "s7"}
    with limited.client(key, **headers, **{"x-scalix-request-id": f"{name}:attempt-1"}) as client:
        answer = client.post(CHAT, json=ask(PROMPT, model="free-refused"))
        streamed = client.post(CHAT, json=ask(PROMPT, stream=True), headers={"x-scalix-request-id": name})
    assert (502, 200) == (answer.status_code, streamed.status_code)
    request_id, stream_id = (each.headers["x-scalix-request-id"] for each in (answer, streamed))
    (told,), (stream_told,) = trace(limited, request_id), trace(limited, stream_id)
    (line,) = lines(limited, request_id)
    by_call, by_client = trace(limited, told["call_id"]), trace(limited, f"{name}:attempt-1")
    shown = admin(limited, "trace", request_id)
    kept = {record["request_id"]: record for record in records(limited, name)}

    assert [told] == by_call == by_client
    assert steps(told)[:6] == ["received", "identified", "body_read", "screened", "admitted", "passed_on"]
    assert ["sent", "failed"] == steps(told)[6:8]
    failed = told["steps"][7]
    assert ("free-refused", "PROVIDER_ERROR", 500) == tuple(
        failed[field] for field in ("model", "category", "status")
    )
    assert {"settled", "ended"} == {*steps(told)[-2:]}
    assert ["sent", "first_token", "settled", "ended"] == steps(stream_told)[6:]
    assert kept[request_id]["call_id"] == told["call_id"] == line["call_id"]
    assert (pseudonym(name), "pro", "error", 502, "PROVIDER_ERROR", "desktop-app", "3.1", "s7") == tuple(
        line[field]
        for field in ("user", "tier", "outcome", "status", "category", "client", "version", "session")
    )
    assert "failed" in shown and told["call_id"] in shown
    for text in (json.dumps([told, stream_told]), shown, json.dumps(line)):
        assert [] == [word for word in (PROMPT, ANSWER, key, UPSTREAM_KEY, provider.base_url) if word in text]
    assert name not in json.dumps(line)

    with limited.client() as operator:
        assert operator.delete(f"/scalix/admin/accounts/{name}").json()["is_complete"]
        gone = [operator.get(f"/scalix/admin/traces/{id}").status_code for id in (request_id, name)]
    assert [404, 404] == gone


def test_a_refused_request_has_a_trace(limited: GatewayProcess) -> None:
    """With the limit that refused and its numbers; of several with one id of the client's, all are listed."""
    name, key = user(limited)
    answers = at_once(limited, key, [ask() for _ in range(11)], lambda i: {"x-scalix-request-id": name + "x"})
    (refused,) = [answer for answer in answers if answer.status_code == 429]
    (told,) = trace(limited, refused.headers["x-scalix-request-id"])
    wait_until(lambda: 11 == len(trace(limited, name + "x")), 15)

    (step,) = [step for step in told["steps"] if step["step"] == "refused"]
    assert ("requests:3600", "/10") == (step["limit"], step["numbers"][-3:])
    assert ("refused", 429, "RATE_LIMIT_EXCEEDED", name) == tuple(
        told[field] for field in ("outcome", "status", "category", "user_id")
    )
    assert "call_id" not in told


def test_what_a_limit_in_shadow_would_have_refused_says_so(limited: GatewayProcess) -> None:
    """In the trace and the line of that call; the record and the answer know nothing of it."""
    name, key = user(limited)
    own = {"limits": [{"unit": "requests", "window_s": 3_600, "limit": 1, "shadow": True}]}
    with limited.client() as operator, limited.client(key) as client:
        assert 200 == operator.put(f"/scalix/admin/accounts/{name}/limits", json=own).status_code
        answers = [client.post(CHAT, json=ask()) for _ in range(2)]
    ids = [answer.headers["x-scalix-request-id"] for answer in answers]
    traces = [told for id in ids for told in trace(limited, id)]
    written = [line for id in ids for line in lines(limited, id)]
    admissions = [step for told in traces for step in told["steps"] if step["step"] == "admitted"]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert [None, "requests:3600"] == [told.get("shadow_refused_by") for told in traces]
    assert [None, "requests:3600"] == [line.get("shadow_refused_by") for line in written]
    assert [None, "requests:3600 1+1/1"] == [step.get("shadow") for step in admissions]
    assert "shadow" not in str([answer.text for answer in answers])
    assert not [record for record in records(limited, name) if "shadow" in str(record)]


def test_in_production_nobody_simulates(gateway: GatewayProcess) -> None:
    """The header is no more than noise there."""
    _, key = user(gateway)
    with gateway.client(key, **{"x-scalix-simulate": "network"}) as client:
        assert 200 == client.post(CHAT, json=ask()).status_code
    with gateway.client(key, **{"x-scalix-simulate": "whatever"}) as client:
        assert 200 == client.post(CHAT, json=ask()).status_code


# --- development, debug mode and OpenTelemetry ------------------------------------------------


class Collector:
    """Takes spans as an OpenTelemetry collector does, over OTLP/HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.append(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[dict[str, str]]:
        """The attributes of each."""
        found = []
        for body in list(self.bodies):
            batch = ExportTraceServiceRequest.FromString(body)
            for resource in batch.resource_spans:
                for scope in resource.scope_spans:
                    found += [{a.key: a.value.string_value for a in s.attributes} for s in scope.spans]
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture(scope="module")
def developing(
    provider: DemoProviderServer, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A developer's gateway, with everything switched on that tells more."""
    folder = tmp_path_factory.mktemp("developing")
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    models = {name: {"model": "openai/demo", **served} for name in ("free-gemini-flash", "free-gemini-pro")}
    models["free-refused"] = {"model": "openai/demo-fail-500", **served}
    config = write_config(
        folder / "c.yaml", models, router_settings={"num_retries": 0, "disable_cooldowns": True}
    )
    process = GatewayProcess(
        config,
        folder / "data",
        SCALIX_ENV="development",
        DEBUG_MODE="true",
        SCALIX_ACCESS_LOG=str(folder / "calls.log"),
        SCALIX_OTEL="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    yield process
    assert process.stop() == 0


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "status", "category"),
    [
        ("network", 502, "NETWORK_ERROR"),
        ("rate_limit", 503, "PROVIDER_RATE_LIMITED"),
        ("server", 502, "PROVIDER_ERROR"),
    ],
)
def test_a_developer_makes_a_provider_fail(
    developing: GatewayProcess, kind: str, status: int, category: str, is_stream: bool
) -> None:
    """The call is admitted and recorded as a real failure would be, and everything is given back."""
    name, key = user(developing)
    with developing.client(key) as client:
        answer = client.post(CHAT, json=ask(stream=is_stream), headers={"x-scalix-simulate": kind})
    (record,) = records(developing, name)
    (told,) = trace(developing, answer.headers["x-scalix-request-id"])
    used = standing(developing, key)

    assert (status, category) == (answer.status_code, answer.json()["error"]["category"])
    assert ("error", category, 0) == tuple(
        record[field] for field in ("outcome", "error_category", "requests_counted")
    )
    assert (0, 0) == (used["requests_this_hour"], used["tokens_used"])
    assert (kind, category) == (told["simulated"], told["category"])
    assert ["sent", "failed"] == steps(told)[6:8]


def test_an_unknown_failure_is_refused(developing: GatewayProcess) -> None:
    """And nothing is recorded; the start said what this gateway is."""
    name, key = user(developing)
    with developing.client(key, **{"x-scalix-simulate": "flood"}) as client:
        answer = client.post(CHAT, json=ask())

    assert (400, "X-Scalix-Simulate") == (answer.status_code, answer.json()["error"]["param"])
    assert [] == records(developing, name)
    assert "DEVELOPMENT: every caller can make its calls fail" in developing.output.read_text()


def test_spans_and_logs_tell_nothing_of_what_was_said(
    developing: GatewayProcess, collector: Collector, provider: DemoProviderServer
) -> None:
    """Of an answer, a stream and a failure, in debug mode."""
    provider.reset()
    name, key = user(developing)
    with developing.client(key) as client:
        answers = [
            client.post(CHAT, json=ask(PROMPT, **more))
            for more in ({}, {"stream": True}, {"model": "free-refused"})
        ]
    ids = [answer.headers["x-scalix-request-id"] for answer in answers]
    assert [200, 200, 502] == [answer.status_code for answer in answers]
    wait_until(lambda: {*ids} <= {span.get("scalix.request_id") for span in collector.spans()}, 20)
    debugged = wait_until(lambda: all(id in developing.logs() for id in ids) and developing.logs(), 15)
    calls = (developing.data_dir.parent / "calls.log").read_text()

    (span,) = [span for span in collector.spans() if span.get("scalix.request_id") == ids[0]]
    assert ("free", "free-gemini-flash") == (span["scalix.tier"], span["scalix.model_requested"])
    exported = b"".join(collector.bodies)
    secret = (PROMPT, ANSWER, key, MASTER_KEY, UPSTREAM_KEY, provider.base_url, name)
    assert [] == [word for word in secret if word.encode() in exported]
    assert [] == [word for word in secret[:-1] if word in debugged + calls]
    assert "DEBUG scalix.debug" in debugged and "DEBUG LiteLLM" in debugged
    assert all(id in calls for id in ids)
    assert '{"at":"' not in (developing.data_dir / "logs" / "litellm.log").read_text()
