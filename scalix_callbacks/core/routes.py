"""Which addresses there are and who may use them; whatever is not listed here is the operator's alone."""

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"
    USER = "user"
    OPERATOR = "operator"
    PAGE = "page"
    """The status page, which looks after itself: its files hold nothing secret, its figures are told to the
    operator's key or to a browser that logged in with it (`web.page`)."""


class Endpoint(StrEnum):
    """A kind of call that reaches a model. The value is what records and metrics call it."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class Route:
    """An address. `endpoint` is set where a call reaches a model; `path` is what LiteLLM knows it by.

    `engine`: the one whose options and files it takes with any model; see `core.context.options`.
    """

    path: str
    methods: frozenset[str]
    access: Access
    endpoint: Endpoint | None = None
    engine: str | None = None


_GET, _POST = frozenset({"GET", "HEAD"}), frozenset({"POST"})
_PUT, _DELETE = frozenset({"PUT"}), frozenset({"DELETE"})

_ENDPOINT_PATHS = {
    Endpoint.CHAT: "/chat/completions",
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.EMBEDDINGS: "/embeddings",
    Endpoint.RESPONSES: "/responses",
}

_ROUTES: dict[str, Route] = {
    route.path: route
    for route in (
        Route("/health", _GET, Access.PUBLIC),
        Route("/v1/health", _GET, Access.PUBLIC),
        Route("/health/liveliness", _GET, Access.PUBLIC),
        Route("/health/liveness", _GET, Access.PUBLIC),
        Route("/health/readiness", _GET, Access.PUBLIC),
        Route("/models", _GET, Access.USER),
        Route("/v1/models", _GET, Access.USER),
        Route("/key/generate", _POST, Access.OPERATOR),
        Route("/metrics", _GET, Access.OPERATOR),
        Route("/scalix/admin/ledger", _GET, Access.OPERATOR),
        Route("/scalix/admin/outbox", _GET, Access.OPERATOR),
        Route("/scalix/admin/usage", _GET, Access.OPERATOR),
        Route("/scalix/admin/bills", _GET, Access.OPERATOR),
        Route("/spend/logs", _GET, Access.OPERATOR),
        Route("/v1/user", _GET | _DELETE, Access.USER),
        Route("/v1/user/info", _GET, Access.USER),
        Route("/v1/user/budget", _GET, Access.USER),
        Route("/v1/user/stats", _GET, Access.USER),
        Route("/v1/user/usage", _GET, Access.USER),
        Route("/v1/user/export", _GET, Access.USER),
        Route("/v1/user/consent", _PUT, Access.USER),
        Route("/v1/messages", _POST, Access.USER, Endpoint.MESSAGES),
        *(
            Route(prefix + path, _POST, Access.USER, endpoint)
            for endpoint, path in _ENDPOINT_PATHS.items()
            for prefix in ("", "/v1")
        ),
    )
}
_ROUTES |= {
    f"/v1/{name}/chat/completions": Route(
        "/v1/chat/completions", _POST, Access.USER, Endpoint.CHAT, engine=f"scalix-{name}"
    )
    for name in ("engine", "gateway")
}
_MODEL_PREFIXES = ("/v1/models/", "/models/")
_ADMIN = Route("/scalix/admin/{path}", _GET | _POST | _PUT | _DELETE, Access.OPERATOR)
_ADMIN_PATHS = ("/scalix/admin/accounts", "/scalix/admin/keys", "/scalix/admin/audit")
"""What is below them is told apart by `web.admin`."""
_TRACE = Route("/scalix/admin/traces/{id}", _GET, Access.OPERATOR)
_ROLLOUT = Route("/scalix/admin/rollout/{path}", _GET | _POST | _PUT | _DELETE, Access.OPERATOR)
"""What is below it is told apart by `web.rollout_admin`."""
_ONE_MODEL = Route("/v1/models/{id}", _GET, Access.USER)
PAGE_PATHS = (
    *("/scalix", "/scalix/", "/scalix/login", "/scalix/logout"),
    *("/scalix/page/session", "/scalix/page/overview", "/scalix/page/user", "/scalix/page/call"),
)
_PAGE = {
    path: Route("/scalix/", _POST if path in ("/scalix/login", "/scalix/logout") else _GET, Access.PAGE)
    for path in PAGE_PATHS
}
_PAGE_FILE = Route("/scalix/", _GET, Access.PAGE)


def find_route(path: str) -> Route | None:
    """The route of an exact path; None: not listed."""
    if route := _ROUTES.get(path):
        return route
    if route := _PAGE.get(path):
        return route
    if path.startswith("/scalix/static/"):
        return _PAGE_FILE
    if path.startswith("/scalix/admin/") and "/".join(path.split("/", 4)[:4]) in _ADMIN_PATHS:
        return _ADMIN
    if path.startswith("/scalix/admin/traces/"):
        return _TRACE
    if path == "/scalix/admin/rollout" or path.startswith("/scalix/admin/rollout/"):
        return _ROLLOUT
    return _ONE_MODEL if path.startswith(_MODEL_PREFIXES) and not path.endswith("/") else None


def model_id(path: str) -> str:
    """The model named by a path below `/v1/models/`; names may hold slashes."""
    return path.split("/models/", 1)[1]
