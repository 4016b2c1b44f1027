"""The interface of one API endpoint: read a request, encode the output, encode an error."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.model_output import ModelOutput
from gateway.simulator.request import SimulatedRequest


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error to answer with; `code` and `message` as chat completions name them."""

    status: int
    code: str
    message: str


class StreamedBody(Protocol):
    """A response body, event by event."""

    content_type: str

    def opening(self) -> Iterator[bytes]:
        """Yield the events before the content."""
        ...

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the content events, one for each token, each after the bytes that must precede it (b"": none)."""
        ...

    def ending(self) -> Iterator[bytes]:
        """Yield the events after the content, except the end marker."""
        ...

    def end_marker(self) -> bytes:
        """Return the event that marks the end of a complete stream; b"" if the format has none."""
        ...

    def error_event(self) -> bytes:
        """Return the event that reports an error within the stream."""
        ...


class ApiHandler(Protocol):
    """One API endpoint in its own format."""

    path: ClassVar[str]

    def read_request(self, body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        """Read a request; `params` are the path's parameters, or the parsed form. Raises BadRequest."""
        ...

    def render(self, output: ModelOutput) -> bytes | StreamedBody:
        """Encode the output: bytes of JSON, or a stream."""
        ...

    def error_response(self, error: ErrorResponse) -> tuple[int, bytes]:
        """Return the status and the JSON body of an error."""
        ...

    def provider_headers(self, behaviour: Behaviour, created: int, is_error: bool) -> tuple[str, ...]:
        """Return the header lines that this provider adds; `created` in seconds since the epoch."""
        ...
