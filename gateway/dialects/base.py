"""What a wire format offers. Each is a file of functions; the file itself is the implementation."""

from typing import Protocol

from gateway.core.chat import ChatRequest, Usage
from gateway.core.errors import GatewayError
from gateway.core.exchange import Meter
from gateway.streaming.relay import Codec


class Dialect(Protocol):
    """Pure functions over bytes, for the clients and the providers that speak the format."""

    @property
    def NAME(self) -> str: ...

    @property
    def PATH(self) -> str:
        """Where clients send it, and providers take it."""
        ...

    def decode_request(self, raw: bytes) -> ChatRequest: ...

    def encode_request(self, request: ChatRequest, model: str) -> bytes: ...

    def read_answer(self, body: bytes) -> Usage | None: ...

    def read_stream(self, meter: Meter, *, hides_usage: bool, choices: int) -> Codec: ...

    def encode_error(self, error: GatewayError) -> bytes: ...

    def encode_error_event(self, error: GatewayError) -> bytes: ...
