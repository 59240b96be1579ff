"""What a user notices of a provider that fails: nothing, as long as another model of the plan can answer."""

import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import chain, product
from typing import Any

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.providers.matrix import NAMES, WAYS
from tests.system.asking import CHAT, ask, records, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config

PRICES = [
    {"model": "first", "input_usd_per_1k": 0.01, "output_usd_per_1k": 0.01},
    {"model": "second", "input_usd_per_1k": 0.02, "output_usd_per_1k": 0.02},
]
TOKENS = 5
CALLS = 320
NEVER_RESTS = {"model_info": {"cooldown_time": 0}}
"""Beside the parameters, where LiteLLM heeds it in every form of the API."""
RETRIES = 2
CHAIN = ("at-random", "second", "third")
FOREIGN = ("anthropic", "gemini")
"""Without a chain: each in its provider's own form, whatever the client's."""


BODIES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "Say hello.", "max_tokens": TOKENS},
    "/v1/messages": {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": TOKENS},
    "/v1/responses": {"input": "Say hello.", "max_output_tokens": 16},
}
HOW = (
    *(("500", False), ("500", True), ("cut before the answer", True), ("hang", True)),
    *product(("garbage", "nothing said"), (False, True)),
)
FORMS = {f"form-{i}": (path, *how) for i, (path, how) in enumerate(product(BODIES, HOW))}
"""Each with a model of its own: one that failed so often would rest."""

WHO_FAILED = {
    # what a model and the next one fail with; the category that is told, and whether it is the first's
    "same": ("500", "500", "PROVIDER_ERROR", False),
    "busy": ("429", "500", "PROVIDER_RATE_LIMITED", True),
    "silent": ("nothing said", "429", "PROVIDER_ERROR", True),
}
EACH_WAY = {
    case: {f"{case}-{i}": way for i, way in enumerate(product((CHAT, *BODIES), (False, True)))}
    for case in WHO_FAILED
}

REFUSED = {
    f"refused-{i}": case
    for i, case in enumerate(
        product(("openai", "anthropic", "gemini", "azure"), (401, 403), (CHAT, *BODIES), (False, True))
    )
    if (case[0], case[2]) != ("azure", "/v1/responses")  # of which the demo provider has no form
}


@pytest.fixture(scope="module")
def failing(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """`first` falls back to `second`; a call may take a second. Only `only` may rest."""
    folder = tmp_path_factory.mktemp("failing")
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    models: dict[str, Any] = {
        name: {"model": f"openai/{name}", "timeout": 1, "stream_timeout": 1, **NEVER_RESTS, **served}
        for name in ("first", *CHAIN, *FORMS, *chain.from_iterable(EACH_WAY.values()))
    }
    models |= {
        name: {**served, "model": f"openai/{name}"}
        if of == "openai"
        else WAYS[NAMES.index(of)].params(provider, UPSTREAM_KEY)
        for name, (of, *_) in REFUSED.items()
    }
    models |= {name: WAYS[NAMES.index(name)].params(provider, UPSTREAM_KEY) | NEVER_RESTS for name in FOREIGN}
    models["only"] = {"model": "openai/only", **served}
    models["public"] = {"model": "openai/of-its-provider", **served}
    models["provider/*"] = {"model": "openai/*", **served}
    config = write_config(
        folder / "c.yaml",
        models,
        router_settings={
            "fallbacks": [
                *({model: ["second"]} for model in ("first", *FORMS)),
                {CHAIN[0]: list(CHAIN[1:])},
                *({model: ["second"]} for model in REFUSED),
                {"second": ["public"]},
                *({model: ["provider/last"]} for model in chain.from_iterable(EACH_WAY.values())),
            ],
            "num_retries": RETRIES,
            "cooldown_time": 30,
        },
        scalix={"prices": PRICES},
    )
    # LiteLLM's, which else waits half a second and more before each retry.
    process = GatewayProcess(config, folder / "data", workers=2, INITIAL_RETRY_DELAY="0.02", JITTER="0.02")
    yield process
    assert process.stop() == 0


def answered(gateway: GatewayProcess, key: str, body: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    """Status, text, and the `scalix` object or the error."""
    with gateway.client(key) as client:
        answer = client.post(CHAT, json=body)
    if not body.get("stream") or answer.status_code != 200:
        told = answer.json()
        if answer.status_code != 200:
            return answer.status_code, "", told["error"]
        return 200, told["choices"][0]["message"]["content"], told["scalix"]
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for c in chunks for choice in c.get("choices", ()))
    last = chunks[-1]
    return 200, text, last.get("scalix") or last["error"]


FAILURES = {
    "401": {"status": 401},
    "403": {"status": 403},
    "404": {"status": 404},
    "408": {"status": 408},
    "429": {"status": 429},
    "500": {"status": 500},
    "503": {"status": 503},
    "529": {"status": 529},
    "garbage": {"garbage": True},
    "hang": {"hang": True},
    "cut before the answer": {"cut_after_tokens": 0},
    "failed before the answer": {"fail_after_tokens": 0},
    "hang before the answer": {"hang_after_tokens": 0},
    "nothing said": {"text": "", "report_usage": False},
}
WAYS_TO_FAIL = ("429", "500", "503", "garbage", "cut before the answer", "nothing said")


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("how", FAILURES)
def test_another_model_answers(
    failing: GatewayProcess, provider: DemoProviderServer, how: str, is_stream: bool
) -> None:
    """Whatever is wrong with the first, before the first word of its answer."""
    provider.reset()
    provider.script(model="first", **FAILURES[how])
    name, key = user(failing, "premium")
    status, text, told = answered(failing, key, ask(model="first", stream=is_stream, max_tokens=TOKENS))
    (record,) = records(failing, name)
    tokens = record["prompt_tokens"] + TOKENS

    assert (200, True) == (status, bool(text)), told
    assert ("ok", 1, "first", "second", TOKENS) == (
        *(record["outcome"], record["requests_counted"], record["model_requested"], record["model_used"]),
        record["completion_tokens"],
    )
    # Never dearer than the model that was asked for.
    assert Decimal(tokens) / 100_000 == Decimal(record["price_usd"]) == Decimal(told["cost_usd"])
    calls = sorted(provider.calls(), key=lambda call: call["at"])
    assert "second" == calls[-1]["model"]
    assert len(calls) <= 2 + RETRIES


@pytest.mark.parametrize("model", FORMS)
def test_another_model_answers_in_every_form(
    failing: GatewayProcess, provider: DemoProviderServer, model: str
) -> None:
    """LiteLLM takes another way through its router for each."""
    path, how, is_stream = FORMS[model]
    provider.reset()
    provider.script(model=model, **FAILURES[how])
    name, key = user(failing, "premium")
    with failing.client(key) as client:
        answer = client.post(path, json={"model": model, "stream": is_stream, **BODIES[path]})
    (record,) = records(failing, name)
    # The provider tells them by their ends; one that hangs may end last, and another test's, too.
    in_turn = sorted(provider.calls(), key=lambda call: call["at"])
    asked = [call["model"] for call in in_turn if call["model"] in (model, "second")]

    assert 200 == answer.status_code, answer.text
    assert '"category"' not in answer.text
    assert ("ok", 1, model, "second") == tuple(
        record[column] for column in ("outcome", "requests_counted", "model_requested", "model_used")
    )
    assert (model, "second") == (asked[0], asked[-1])
    assert len(asked) <= 2 + RETRIES


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, *BODIES])
def test_an_answer_has_the_public_name_of_who_answered(
    failing: GatewayProcess, provider: DemoProviderServer, path: str, is_stream: bool
) -> None:
    """Also where LiteLLM would tell what the provider calls it."""
    provider.reset()
    provider.script(model="second", status=500)
    _, key = user(failing, "premium")
    body = ask() if path == CHAT else BODIES[path]
    with failing.client(key) as client:
        for model in ("public", "second"):
            answer = client.post(path, json={**body, "model": model, "stream": is_stream})
            # A stream of Anthropic's events begins with the name that was asked for.
            name = model if path == "/v1/messages" and is_stream else "public"

            assert 200 == answer.status_code, answer.text
            assert {name} == set(re.findall(r'"model": ?"([^"]+)"', answer.text))
            assert "of-its-provider" not in answer.text


@pytest.mark.parametrize("model", REFUSED)
def test_refused_credentials_are_handed_on_at_once(
    failing: GatewayProcess, provider: DemoProviderServer, model: str
) -> None:
    """A provider's 401 and 403 are asked for once, in every form and by every adapter's own way."""
    of, status, path, is_stream = REFUSED[model]
    provider.reset()
    upstream = model if of == "openai" else WAYS[NAMES.index(of)].params(provider)["model"].partition("/")[2]
    provider.script(model=upstream, status=status)
    _, key = user(failing, "premium")
    body = ask() if path == CHAT else BODIES[path]
    with failing.client(key) as client:
        answer = client.post(path, json={**body, "model": model, "stream": is_stream})

    assert 200 == answer.status_code, answer.text
    assert [(upstream, status), ("second", 200)] == [
        (call["model"], call["http_status"]) for call in provider.calls()
    ]
    assert '"category"' not in answer.text


@pytest.mark.parametrize("how", ["garbage", "nothing said"])
@pytest.mark.parametrize("model", FOREIGN)
def test_what_is_no_answer_is_told_as_a_failure_in_every_form(
    failing: GatewayProcess, provider: DemoProviderServer, model: str, how: str
) -> None:
    """Where no other model follows: neither an empty answer nor anything the provider said."""
    provider.reset()
    provider.script(**FAILURES[how])
    name, key = user(failing, "premium")
    answers = []
    with failing.client(key) as client:
        for (path, body), is_stream in product({CHAT: ask(), **BODIES}.items(), (False, True)):
            answers.append(client.post(path, json={**body, "model": model, "stream": is_stream}).text)
    found = records(failing, name)

    assert 8 == len(found)
    assert {("error", "PROVIDER_ERROR", 0, model, model, None)} == {
        tuple(
            record[name]
            for name in (
                *("outcome", "error_category", "requests_counted", "model_used", "provider"),
                "provider_cost_usd",
            )
        )
        for record in found
    }
    for answer in answers:
        assert 1 == answer.count('"code":"PROVIDER_ERROR"') + answer.count('"code": "PROVIDER_ERROR"'), answer
        assert not [said for said in ("no JSON", "message_stop", "completed", "[DONE]") if said in answer]


@pytest.mark.parametrize("case", WHO_FAILED)
def test_a_failed_call_names_who_failed_it(
    failing: GatewayProcess, provider: DemoProviderServer, case: str
) -> None:
    """In every form: the model and the provider whose failure the error tells; nothing is paid."""
    *how, category, is_first = WHO_FAILED[case]
    provider.reset()
    provider.script(model="last", **FAILURES[how[1]])
    name, key = user(failing, "premium")
    with failing.client(key) as client:
        for model, (path, is_stream) in EACH_WAY[case].items():
            provider.script(model=model, **FAILURES[how[0]])
            body = ask() if path == CHAT else BODIES[path]
            client.post(path, json={**body, "model": model, "stream": is_stream})
    found = records(failing, name)

    assert 8 == len(found)
    assert [(model if is_first else "provider/last", "openai", category) for model in EACH_WAY[case]] == [
        (record["model_used"], record["provider"], record["error_category"]) for record in found
    ]
    assert {("error", "0.000000", None)} == {
        (record["outcome"], record["price_usd"], record["provider_cost_usd"]) for record in found
    }


@pytest.mark.parametrize("how", ["cut_after_tokens", "fail_after_tokens", "hang_after_tokens"])
def test_a_stream_that_has_begun_is_not_begun_again(
    failing: GatewayProcess, provider: DemoProviderServer, how: str
) -> None:
    """It ends with our error, and what had come is charged."""
    provider.reset()
    provider.script(model="first", delay_per_token_s=0.02, **{how: 2})
    name, key = user(failing, "premium")
    status, text, error = answered(failing, key, ask(model="first", stream=True, max_tokens=9))
    (record,) = records(failing, name)

    assert (200, True, True) == (status, bool(text), error["retryable"])
    assert error["code"] in ("PROVIDER_ERROR", "NETWORK_ERROR", "PROVIDER_TIMEOUT")
    assert ("error", 0, error["category"]) == (
        record["outcome"],
        record["requests_counted"],
        record["error_category"],
    )
    assert 1 <= record["completion_tokens"] <= 4
    assert ["first"] == [call["model"] for call in provider.calls()]
    for secret in (UPSTREAM_KEY, provider.url, "demo"):
        assert secret not in json.dumps(error)


@pytest.mark.parametrize("path", BODIES)
def test_no_other_model_follows_the_first_word(
    failing: GatewayProcess, provider: DemoProviderServer, path: str
) -> None:
    """In any other form either: one error, nothing begun twice, and what had come is charged."""
    provider.reset()
    provider.script(model="first", delay_per_token_s=0.02, fail_after_tokens=2)
    name, key = user(failing, "premium")
    with failing.client(key) as client:
        answer = client.post(path, json={"model": "first", "stream": True, **BODIES[path]})
    (record,) = records(failing, name)

    assert ["first"] == [call["model"] for call in provider.calls()]
    assert 1 == answer.text.count('"PROVIDER_ERROR"') // 2, answer.text
    assert ("error", 0) == (record["outcome"], record["requests_counted"])
    assert 1 <= record["completion_tokens"] <= 4


def test_a_model_that_is_dead_rests_in_all_workers(
    failing: GatewayProcess, provider: DemoProviderServer
) -> None:
    """Its provider is then left alone, and its users are told at once when to come again."""
    provider.reset()
    provider.script(model="only", status=500)
    _, key = user(failing, "premium")

    def is_resting() -> bool:
        before = len(provider.calls())
        told = [answered(failing, key, ask(model="only")) for _ in range(4)]
        return len(provider.calls()) == before and all(status == 503 for status, _, _ in told)

    wait_until(is_resting, 30)
    status, _, error = answered(failing, key, ask(model="only"))

    assert (503, "MODEL_UNAVAILABLE") == (status, error["code"])
    assert 0 < error["retry_after_s"] <= 30


def test_a_model_that_its_provider_does_not_have_is_one_users_own_affair(
    failing: GatewayProcess, provider: DemoProviderServer
) -> None:
    """LiteLLM would let the whole provider rest for everybody."""
    provider.reset()
    provider.script(model="nonsense", status=404)
    _, key = user(failing, "premium")
    told = [answered(failing, key, ask(model=f"provider/{name}"))[0] for name in ("nonsense", "real") * 6]

    assert [503, 200] * 6 == told


def test_a_provider_that_fails_three_in_ten_is_hardly_noticed(
    failing: GatewayProcess, provider: DemoProviderServer
) -> None:
    """Two retries and two fallbacks, which fail as often, in whatever way and whatever is asked: who can be
    answered is; the ledger knows each."""
    provider.reset()
    chance, expected, scripts = random.Random(5), [], []
    for _ in range(CALLS):
        fails = [_fails_in_a_row(chance) for _ in CHAIN]
        expected.append(fails[0] <= RETRIES or 0 in fails[1:])
        scripts.append(
            [(m, chance.choice(WAYS_TO_FAIL)) for m, n in zip(CHAIN, fails, strict=True) for _ in range(n)]
        )
    name, key = user(failing, "premium")

    def is_answered(number: int) -> bool:
        for model, how in scripts[number]:
            provider.script(model=model, match=f"call-{number}.", times=1, **FAILURES[how])
        path, body = list({CHAT: ask(), **BODIES}.items())[number % 4]
        said = json.dumps({**body, "model": CHAIN[0], "stream": number % 8 < 4})
        with failing.client(key) as client:
            answer = client.post(path, content=said.replace("Say hello.", f"call-{number}."))
        return answer.status_code == 200 and '"category"' not in answer.text

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(is_answered, range(CALLS)))
    outcomes = [record["outcome"] for record in records(failing, name)]

    assert expected == answered
    assert expected.count(True) >= 0.995 * CALLS
    assert [expected.count(True), expected.count(False)] == [outcomes.count("ok"), outcomes.count("error")]


def _fails_in_a_row(chance: random.Random) -> int:
    """How often a provider fails before it answers, when it fails three times in ten."""
    times = 0
    while chance.random() < 0.3:
        times += 1
    return times
