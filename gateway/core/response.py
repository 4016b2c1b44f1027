"""A response on its way to the client, wherever it comes from: an endpoint, the gateway itself, later the cache."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.core.usage import Usage

Origin = Literal["endpoint", "gateway"]


class ClientWriter(Protocol):
    """The client's side of a response that is sent as it comes."""

    def write(self, data: bytes) -> bool:
        """Send `data`; return False while the client is slow: `on_drain` is called once it has taken enough."""
        ...

    on_drain: Callable[[], None] | None


class Tap(Protocol):
    """Sees what the client is sent: a cache that stores it, a usage reader, a request log. It must not block or raise."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, in order; keep-alive comments are none."""
        ...

    def finish(self) -> None:
        """The client has been sent all of a complete response. Never called for one that failed or was cut."""
        ...


class Source(Protocol):
    """A body that is still arriving."""

    async def pump(self, writer: ClientWriter, keepalive_s: float | None, taps: tuple[Tap, ...] = ()) -> None:
        """Send the body to `writer` and `taps` until its end. Raises `UpstreamError` where it breaks off."""
        ...

    def close(self) -> None:
        """Stop the provider, unless the body is complete."""
        ...


@dataclass(slots=True, eq=False)
class Response:
    """What the client is to get: either `body`, whole, or `source`, a stream that has come to its first content."""

    status: int
    headers: Mapping[bytes, bytes]  # names in lower case
    body: bytes | None = None
    source: Source | None = None
    usage: Usage | None = None  # reported with a whole body
    origin: Origin = "endpoint"
    taps: tuple[Tap, ...] = ()
    keepalive_s: float | None = None  # silence of a stream after which a comment is sent

    def header(self, name: bytes) -> str:
        """Return a header that a client may see: "" where it is missing or is not plain printable ASCII."""
        value = self.headers.get(name, b"").decode("latin-1")
        return value if value.isascii() and value.isprintable() else ""

    def close(self) -> None:
        """Let go of a body that is still arriving."""
        if self.source is not None:
            self.source.close()
