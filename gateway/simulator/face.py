"""What a dialect owes to the simulator: to read a request, to put an answer into bytes, and to say what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.answer import Answer
from gateway.simulator.ask import Ask


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a request is refused: the status, and a code and message as chat completions would name it."""

    status: int
    code: str
    message: str


class Stream(Protocol):
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

    def mark(self) -> bytes:
        """Give the event that says that the answer is whole; b"" where there is none."""
        ...

    def failure(self) -> bytes:
        """Give the event that says that the answer failed."""
        ...


class Face(Protocol):
    """One endpoint's dialect."""

    path: ClassVar[str]

    def read(self, body: bytes, given: Mapping[str, Any]) -> Ask:
        """Read a request; `given` is what stood beside the body, as in its path. Raises BadAsk."""
        ...

    def tell(self, answer: Answer) -> bytes | Stream:
        """Give the answer: whole, as JSON, or as a stream."""
        ...

    def refusal(self, trouble: Trouble) -> tuple[int, bytes]:
        """Give the status and the JSON of a refusal."""
        ...

    def own_headers(self, behaviour: Behaviour, created: int, is_refusal: bool) -> tuple[str, ...]:
        """Give the headers that the provider sends beside its answer."""
        ...
