"""What the tests of the demo provider share."""

import json
import socket
from typing import Any

import httpx

AUTH = {"authorization": "Bearer any-key"}


def chat(text: str = "Hi there!", **fields: Any) -> dict[str, Any]:
    """The body of a chat request with one user message."""
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **fields}


def frames(text: str) -> list[Any]:
    """The data of each server-sent event, decoded; "[DONE]" as it is."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def contents(chunks: list[Any], index: int = 0) -> list[str]:
    """The text of each chunk of one choice that has any."""
    choices = [choice for chunk in chunks if chunk != "[DONE]" for choice in chunk.get("choices", [])]
    return [
        choice["delta"]["content"]
        for choice in choices
        if choice["index"] == index and choice["delta"].get("content")
    ]


def raw_request(port: int, body: dict[str, Any], path: str = "/v1/chat/completions") -> socket.socket:
    """A connection on which the request is sent and nothing is read yet."""
    payload = json.dumps(body).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        "host: demo",
        "authorization: Bearer k",
        f"content-length: {len(payload)}",
    )
    head = "\r\n".join(lines) + "\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(head.encode() + payload)
    return connection


def read_until(connection: socket.socket, needle: bytes) -> bytes:
    """All bytes up to the first reading that holds `needle`."""
    received = b""
    while needle not in received:
        part = connection.recv(65_536)
        if not part:
            raise AssertionError(f"the connection ended before {needle!r}")
        received += part
    return received


def port_of(url: str) -> int:
    """The port in a URL."""
    port = httpx.URL(url).port
    assert port is not None
    return port
