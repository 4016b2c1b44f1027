"""What a wire format offers. Each is a file of functions; the file itself is the implementation.

Where client and provider speak the same dialect, `encode_request`, `read_answer` and `read_stream` of that dialect are all
that runs. Where they differ `bridge.py` puts the neutral values of `core/conversation.py` between the two.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Conversation, StreamEvent
from gateway.core.errors import GatewayError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects.rejection import ProviderError
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.relay import Codec


class StreamDecoder(Protocol):
    """Reads one stream of a provider, event by event, into neutral events."""

    is_done: bool  # the event that ends every stream has come

    def feed(self, event: bytes) -> Iterable[StreamEvent]:
        """Give what a whole event of server-sent events says. Raises `ProtocolError` where it is none of the dialect."""
        ...

    def more(self, event: bytes) -> bytes | None:
        """Give the JSON string that an event adds to the very part that the last event added to; None where it is else.

        The fast path of long texts, so it looks and does not parse; the string goes on as it stands, quotes included.
        """
        ...


class StreamEncoder(Protocol):
    """Writes one stream to a client."""

    def encode(self, event: StreamEvent) -> bytes: ...

    def more(self, string: bytes) -> bytes:
        """Give the event that adds a JSON string to the part that the last delta added to."""
        ...

    def finish(self) -> bytes:
        """End the stream as one that is complete; called once, after `Finish` was encoded."""
        ...


class Dialect(Protocol):
    """Pure functions over bytes, for the clients and the providers that speak the format."""

    @property
    def NAME(self) -> str: ...

    @property
    def PATH(self) -> str:
        """Where clients send it, and providers take it."""
        ...

    @property
    def VENDOR(self) -> str:
        """Whose clients speak it: they also agree on headers, and on lists of models."""
        ...

    def decode_request(self, raw: bytes) -> ChatRequest: ...

    def encode_request(self, request: ChatRequest, model: str) -> bytes: ...

    def read_answer(self, body: bytes) -> Usage | None: ...

    def read_stream(self, meter: Meter, *, hides_usage: bool, choices: int) -> Codec: ...

    def encode_error(self, error: GatewayError) -> bytes: ...

    def encode_error_event(self, error: GatewayError) -> bytes: ...


class ConversationDialect(Dialect, Protocol):
    """A format of conversations: what is said in it can be said in the others, by way of neutral values."""

    @property
    def PARAMS(self) -> Mapping[str, str]:
        """What it calls a field of `Conversation`, where that differs."""
        ...

    @property
    def NEEDS_MAX_TOKENS(self) -> bool:
        """Whether a request has to bound its answer."""
        ...

    # For clients that speak it

    def to_conversation(self, request: ChatRequest) -> Conversation:
        """Give a request in neutral words. Raises `InvalidRequest` where content has none."""
        ...

    def encode_answer(self, completion: Completion, request: ChatRequest) -> bytes: ...

    def open_encoder(self, request: ChatRequest) -> StreamEncoder: ...

    def encode_provider_error(self, rejection: ProviderError, status: int) -> bytes:
        """Give a provider's own error as one of this dialect."""
        ...

    # For providers that speak it

    def from_conversation(self, conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
        """Give the body that says the same. Raises `InvalidRequest` where it can't be said."""
        ...

    def decode_answer(self, body: bytes) -> Completion:
        """Raises `ProtocolError` where it is none, `Unavailable` where it is an error in disguise."""
        ...

    def open_decoder(self) -> StreamDecoder: ...

    def read_provider_error(self, body: bytes) -> ProviderError | None:
        """Give the error in a body; None where it holds none in this dialect."""
        ...


class Estimating(Protocol):
    """What a dialect offers whose questions the gateway can answer itself."""

    def encode_estimate(self, tokens: int) -> bytes: ...


class ModelList(Protocol):
    """What the clients of a vendor read where they ask for the models that there are."""

    def entry(self, name: str, context: int | None, max_output: int | None) -> dict[str, Any]: ...

    def page(self, entries: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
        """Raises `InvalidRequest`."""
        ...


class Gathering(Protocol):
    """What a dialect offers whose requests can be gathered into one call; the requests that are given are alike."""

    def count_inputs(self, request: ChatRequest) -> int: ...

    def alike(self, request: ChatRequest) -> bytes:
        """Give what has to be equal where two requests are to be one."""
        ...

    def join(self, requests: Sequence[ChatRequest], model: str) -> bytes: ...

    def split(self, body: bytes, requests: Sequence[ChatRequest]) -> list[tuple[bytes, Usage | None]]:
        """Give each request's part of the answer to all of them. Raises `UpstreamError`."""
        ...
