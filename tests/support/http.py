"""A low-level HTTP client on a blocking socket: raw bytes out, heads and chunks in."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Address = tuple[str, int] | Path
Body = bytes | Mapping[str, Any] | None

CHAT = "/v1/chat/completions"


class Truncated(Exception):
    """The connection ended before the response was complete; `got` is the body so far."""

    def __init__(self, got: bytes) -> None:
        super().__init__(f"the response breaks off after {len(got)} bytes")
        self.got = got


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers in order of arrival, names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the single value of a header, or None."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"header {name} came {len(values)} times"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    def header(self, name: str) -> str | None:
        return self.head.get(name)

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """Return the error of a failed request; it must have exactly OpenAI's four fields."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        return dict(error)


class Connection:
    """One connection. A context manager that closes it."""

    def __init__(self, address: Address, *, timeout_s: float = 15.0, receive_buffer: int | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(str(address) if isinstance(address, Path) else address)
        except BaseException:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close in good order."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a reset, as a crash would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, path: str, body: Body = None, headers: Mapping[str, str] | None = None) -> None:
        """Send a request with the headers it needs."""
        self.send(request_bytes(method, path, body, headers))

    def read_head(self) -> Head:
        """Read up to the empty line."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                raise Truncated(self._buffer)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Head(int(first.split(" ")[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs))

    def read_chunks(self) -> Iterator[bytes]:
        """Yield the chunks of a chunked body as they arrive."""
        got = b""
        while True:
            while b"\r\n" not in self._buffer:
                if not self._receive():
                    raise Truncated(got)
            size_line, _, self._buffer = self._buffer.partition(b"\r\n")
            size = int(size_line, 16)
            while len(self._buffer) < size + 2:
                if not self._receive():
                    raise Truncated(got + self._buffer[:size])
            chunk, self._buffer = self._buffer[:size], self._buffer[size + 2 :]
            if not size:
                return
            got += chunk
            yield chunk

    def read_body(self, head: Head) -> bytes:
        """Read the body that `head` announces. Raises Truncated."""
        if head.get("transfer-encoding") == "chunked":
            return b"".join(self.read_chunks())
        length = head.get("content-length")
        while length is None or len(self._buffer) < int(length):
            if not self._receive():
                if length is None:
                    break
                raise Truncated(self._buffer)
        size = len(self._buffer) if length is None else int(length)
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    def read_answer(self) -> Answer:
        """Read one complete response; skips 1xx responses."""
        head = self.read_head()
        while head.status < 200:
            head = self.read_head()
        return Answer(head, b"" if head.status in (204, 304) else self.read_body(head))

    def read_until(self, text: bytes) -> bytes:
        """Read raw bytes up to and including `text`; return them."""
        while text not in self._buffer:
            if not self._receive():
                raise Truncated(self._buffer)
        end = self._buffer.index(text) + len(text)
        got, self._buffer = self._buffer[:end], self._buffer[end:]
        return got

    def is_closed(self) -> bool:
        """Wait for the peer to close the connection; return False if it sends data instead."""
        try:
            return not self._buffer and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)


def request_bytes(method: str, path: str, body: Body = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a request as bytes: a mapping becomes JSON, missing headers get defaults."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    all_headers = {"host": "localhost"}
    if data is not None:
        all_headers |= {"content-type": "application/json", "content-length": str(len(data))}
    all_headers |= {name.lower(): value for name, value in (headers or {}).items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items() if value), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (data or b"")


def fetch(
    address: Address, path: str, body: Body = None, headers: Mapping[str, str] | None = None, *, timeout_s: float = 15.0
) -> Answer:
    """Send one request on a new connection: POST if there is a body, otherwise GET."""
    with Connection(address, timeout_s=timeout_s) as connection:
        connection.request("GET" if body is None else "POST", path, body, headers)
        return connection.read_answer()


def ask(address: Address, model: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    """Request a chat completion."""
    return fetch(address, CHAT, chat_body(model, **fields), headers)


def chat_body(model: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a small chat request."""
    return {"model": model, "messages": [{"role": "user", "content": "Say something nice"}], **fields}
