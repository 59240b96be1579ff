"""The page's files as they are served: read once, each below an address that changes with what they hold."""

from hashlib import sha256
from importlib.resources import files

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError

STATIC = "/scalix/static/"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
_FOR_A_YEAR = "public, max-age=31536000, immutable"


class Files:
    """`index.html` and what it loads, from this package."""

    def __init__(self) -> None:
        folder = files("scalix_callbacks.web.page").joinpath("static")
        found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        index = found.pop("index.html").decode()
        named = {name: body for name, body in sorted(found.items()) if _type(name)}
        of_all = sha256(index.encode())
        for name, body in named.items():
            of_all.update(name.encode() + b"\0" + body)
        # One version for all: modules import each other by relative addresses.
        self.version = of_all.hexdigest()[:12]
        self._index = index.replace("{version}", self.version).encode()
        self._files = named

    async def index(self, scope: Scope, receive: Receive, send: Send) -> None:
        etag = f'"{self.version}"'
        headers = {**SECURITY_HEADERS, "cache-control": "no-cache", "etag": etag}
        if dict(scope["headers"]).get(b"if-none-match") == etag.encode():
            await Response(status_code=304, headers=headers)(scope, receive, send)
            return
        await Response(self._index, headers=headers, media_type="text/html")(scope, receive, send)

    async def file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/scalix/static/<version>/<name>`. Of another version, as while workers are replaced one by one,
        the file is today's and is not kept."""
        version, _, name = scope["path"].removeprefix(STATIC).partition("/")
        body = self._files.get(name)
        if body is None:
            raise GatewayError(ErrorCategory.NOT_FOUND)
        kept = _FOR_A_YEAR if version == self.version else "no-store"
        headers = {**SECURITY_HEADERS, "cache-control": kept}
        await Response(body, headers=headers, media_type=_type(name))(scope, receive, send)


def _type(name: str) -> str | None:
    return next((kind for ending, kind in _TYPES.items() if name.endswith(ending)), None)
