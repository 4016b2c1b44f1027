"""The interfaces of a wire format. Each dialect is a package of functions; the package itself is the implementation.

Where client and provider speak the same dialect, only its `encode_request`, `read_answer` and `read_stream` run. Where they
differ, `bridge.py` translates by way of the neutral values of `core/conversation.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Conversation, StreamEvent
from gateway.core.errors import GatewayError
from gateway.core.exchange import Meter
from gateway.core.provider_error import ProviderError
from gateway.core.usage import Usage
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.relay import Codec


class StreamDecoder(Protocol):
    """Decodes one stream of a provider, event by event, into neutral events."""

    is_done: bool  # the event that ends every stream has arrived

    def feed(self, event: bytes) -> Iterable[StreamEvent]:
        """Return the neutral events of one whole server-sent event. Raises `ProtocolError` if it is not of the dialect."""
        ...

    def string_delta(self, event: bytes) -> bytes | None:
        """Return the JSON string that an event appends to the part of the last delta; None for any other event.

        The fast path of long texts: it compares bytes and does not parse. The string is forwarded unread, quotes included.
        """
        ...


class StreamEncoder(Protocol):
    """Encodes neutral events as one stream for a client."""

    def encode(self, event: StreamEvent) -> bytes: ...

    def append(self, string: bytes) -> bytes:
        """Return the event that appends a JSON string to the part of the last delta."""
        ...

    def finish(self) -> bytes:
        """Return the end of a complete stream; called once, after `Finish` was encoded."""
        ...


class Dialect(Protocol):
    """Pure functions over bytes, for clients and providers that speak the format."""

    @property
    def NAME(self) -> str: ...

    @property
    def PATH(self) -> str:
        """The path of its requests, at the gateway and at providers."""
        ...

    @property
    def VENDOR(self) -> str:
        """The vendor of its API: clients of one vendor also share headers and the format of model lists."""
        ...

    def decode_request(self, raw: bytes) -> ChatRequest: ...

    def encode_request(self, request: ChatRequest, model: str) -> bytes: ...

    def read_answer(self, body: bytes) -> Usage | None: ...

    def read_stream(self, meter: Meter, *, hides_usage: bool, choices: int) -> Codec: ...

    def encode_error(self, error: GatewayError) -> bytes: ...

    def encode_error_event(self, error: GatewayError) -> bytes: ...


class ConversationDialect(Dialect, Protocol):
    """A format of conversations, which can be translated to the others by way of neutral values."""

    @property
    def PARAMS(self) -> Mapping[str, str]:
        """The dialect's names for fields of `Conversation`, where they differ."""
        ...

    @property
    def NEEDS_MAX_TOKENS(self) -> bool:
        """Whether a request must limit the length of its answer."""
        ...

    # For clients that speak it

    def to_conversation(self, request: ChatRequest) -> Conversation:
        """Return a request as neutral values. Raises `InvalidRequest` for content that has no neutral value."""
        ...

    def encode_answer(self, completion: Completion, request: ChatRequest) -> bytes: ...

    def open_encoder(self, request: ChatRequest) -> StreamEncoder: ...

    def encode_provider_error(self, error: ProviderError, status: int, request_id: str = "") -> bytes:
        """Return a provider's error in this dialect."""
        ...

    def mark_too_long(self, body: bytes, status: int) -> bytes:
        """Return the body of an error in this dialect, about a prompt that is too long, so that clients recognize it."""
        ...

    # For providers that speak it

    def from_conversation(self, conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
        """Return the body of a request in this dialect. Raises `InvalidRequest` for what the dialect can't express."""
        ...

    def decode_answer(self, body: bytes) -> Completion:
        """Return a whole answer. Raises `ProtocolError` for any other document, `Unavailable` for an error sent with status 200."""
        ...

    def open_decoder(self) -> StreamDecoder: ...


class TokenEstimator(Protocol):
    """A dialect whose requests the gateway can answer itself, with an estimate."""

    def encode_estimate(self, tokens: int) -> bytes: ...


class ModelList(Protocol):
    """The format of a vendor's model lists."""

    def entry(self, name: str, context: int | None, max_output: int | None) -> dict[str, Any]: ...

    def page(self, entries: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
        """Raises `InvalidRequest`."""
        ...


class Batching(Protocol):
    """A dialect whose requests can be joined into one call. Requests of one call have the same `batch_key`."""

    def count_inputs(self, request: ChatRequest) -> int: ...

    def batch_key(self, request: ChatRequest) -> bytes:
        """Return the key that requests of one call have in common."""
        ...

    def join(self, requests: Sequence[ChatRequest], model: str) -> bytes: ...

    def split(self, body: bytes, requests: Sequence[ChatRequest]) -> list[tuple[bytes, Usage | None]]:
        """Return each request's part of the joint answer. Raises `UpstreamError`."""
        ...
