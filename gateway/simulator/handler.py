"""What a dialect owes to the simulator: to read a request, to put an answer into bytes, and to say what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gateway.providers.simulator import Behaviour
from gateway.simulator.model_output import ModelOutput
from gateway.simulator.request import SimulatedRequest


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """Why a request is refused: the status, and a code and message as chat completions would name it."""

    status: int
    code: str
    message: str


class StreamedBody(Protocol):
    """An answer event by event."""

    content_type: str

    def opening(self) -> Iterator[bytes]:
        """Give the events that stand before all content."""
        ...

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the content events, one for each token, each with the events that must stand before it (b"": none)."""
        ...

    def ending(self) -> Iterator[bytes]:
        """Give the events behind the content, but for the mark."""
        ...

    def end_marker(self) -> bytes:
        """Give the event that says that the answer is whole; b"" where there is none."""
        ...

    def error_event(self) -> bytes:
        """Give the event that says that the answer failed."""
        ...


class ApiHandler(Protocol):
    """One endpoint's dialect."""

    path: ClassVar[str]

    def read_request(self, body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        """Read a request; `params` is what stood beside the body, as in its path. Raises BadAsk."""
        ...

    def render(self, output: ModelOutput) -> bytes | StreamedBody:
        """Give the answer: whole, as JSON, or as a stream."""
        ...

    def error_response(self, error: ErrorResponse) -> tuple[int, bytes]:
        """Give the status and the JSON of a refusal."""
        ...

    def provider_headers(self, behaviour: Behaviour, created: int, is_refusal: bool) -> tuple[str, ...]:
        """Give the headers that the provider sends beside its answer."""
        ...
