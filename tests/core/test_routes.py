"""Which addresses there are, and for whom."""

from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.routes import Access, Endpoint, Route, find_route, model_id

CALLS = {
    "/chat/completions": Endpoint.CHAT,
    "/v1/chat/completions": Endpoint.CHAT,
    "/completions": Endpoint.COMPLETIONS,
    "/v1/completions": Endpoint.COMPLETIONS,
    "/embeddings": Endpoint.EMBEDDINGS,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
    "/responses": Endpoint.RESPONSES,
    "/v1/responses": Endpoint.RESPONSES,
    "/v1/messages": Endpoint.MESSAGES,
}
READS = ("/models", "/v1/models")
PUBLIC = ("/health", "/v1/health", "/health/liveliness", "/health/liveness", "/health/readiness")
LISTED = {*CALLS, *READS, *PUBLIC, "/key/generate"}


@pytest.mark.parametrize(("path", "endpoint"), CALLS.items())
def test_calls_of_models_are_open_to_users_by_post(path: str, endpoint: Endpoint) -> None:
    """With and without /v1, as SDKs are configured."""
    assert Route(path, frozenset({"POST"}), Access.USER, endpoint) == find_route(path)


@pytest.mark.parametrize("path", READS)
def test_the_list_of_models_is_open_to_users(path: str) -> None:
    """Reading it calls no model."""
    assert Route(path, frozenset({"GET", "HEAD"}), Access.USER) == find_route(path)


@pytest.mark.parametrize("path", PUBLIC)
def test_health_is_open_to_all(path: str) -> None:
    """Load balancers carry no key."""
    assert Route(path, frozenset({"GET", "HEAD"}), Access.PUBLIC) == find_route(path)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/user", {"GET", "HEAD", "DELETE"}),
        ("/v1/user/export", {"GET", "HEAD"}),
        ("/v1/user/consent", {"PUT"}),
    ],
)
def test_a_users_own_data_is_open_to_it(path: str, methods: set[str]) -> None:
    """To see, to erase and to agree to."""
    assert Route(path, frozenset(methods), Access.USER) == find_route(path)


@pytest.mark.parametrize("path", ["accounts", "accounts/a/limits/reset", "keys/key_0/rotate", "audit/verify"])
def test_accounts_are_administered_by_the_operator(path: str) -> None:
    """All that is below them."""
    route = find_route(f"/scalix/admin/{path}")

    assert route is not None
    assert ("/scalix/admin/{path}", Access.OPERATOR) == (route.path, route.access)
    assert find_route("/scalix/admin/accountsx") is None


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/scalix/", "GET"),
        ("/scalix/static/v/app.js", "GET"),
        ("/scalix/login", "POST"),
        ("/scalix/logout", "POST"),
    ],
)
def test_the_status_page_looks_after_itself(path: str, method: str) -> None:
    """What is listed; whatever else begins so is the operator's."""
    route = find_route(path)

    assert route is not None
    assert (Access.PAGE, "/scalix/", True) == (route.access, route.path, method in route.methods)
    assert [None] * 4 == [
        find_route(each) for each in ("/scalix/x", "/scalix/page/", "/scalix/page/x", "/scalixx")
    ]


def test_keys_are_made_by_the_operator() -> None:
    """No user makes keys."""
    assert Route("/key/generate", frozenset({"POST"}), Access.OPERATOR) == find_route("/key/generate")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions ",
        "/V1/chat/completions",
        "/v1/Chat/Completions",
        "/v1/../key/generate",
        "/v1/./models",
        "/v1/chat%2Fcompletions",
        "/%2e%2e/key/generate",
        "/v1/chat/completions;a=b",
        "/v1/chat/completions\x00",
        "/v1/models/",
        "/models/",
        "/v1/modelsx",
        "/v1/model/info",
        "/openai/deployments/gpt-4/chat/completions",
        "/engines/gpt-4/chat/completions",
        "/v1/messages/count_tokens",
        "/messages",
        "/health/services",
        "/key/info",
        "/config/yaml",
        "/docs",
        "/ui",
        "/openapi.json",
    ],
)
def test_what_is_not_listed_letter_by_letter_is_the_operators(path: str) -> None:
    """No spelling of an address leads around the list."""
    assert find_route(path) is None


@given(st.text(alphabet=ascii_lowercase + "/.%2e _-A\\", max_size=30))
def test_no_path_but_the_listed_ones_is_open(path: str) -> None:
    """Whatever is asked for, it is on the list or below the models, or it is the operator's."""
    route = find_route(path)

    below = ("/v1/models/{id}", "/scalix/")  # the models, and what the status page looks after
    assert route is None or path in LISTED or route.access is Access.OPERATOR or route.path in below


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/gpt-4", "gpt-4"),
        ("/models/gpt-4", "gpt-4"),
        ("/v1/models/anthropic/claude-x", "anthropic/claude-x"),
        ("/v1/models/x/models/y", "x/models/y"),
        ("/v1/models/../../key/generate", "../../key/generate"),
        ("/v1/models//key/generate", "/key/generate"),
    ],
)
def test_a_models_address_names_it(path: str, expected: str) -> None:
    """Names hold slashes; what climbs out of the address is a name as well, of no model."""
    assert Route("/v1/models/{id}", frozenset({"GET", "HEAD"}), Access.USER) == find_route(path)
    assert expected == model_id(path)


@pytest.mark.parametrize("path", ["/scalix/admin/traces/r1", "/scalix/admin/traces/a/b"])
def test_traces_are_the_operators(path: str) -> None:
    """Under any id, also one with slashes in it."""
    route = find_route(path)

    assert route is not None and Access.OPERATOR is route.access
    assert find_route("/scalix/admin/traces") is None
