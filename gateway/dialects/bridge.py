"""From a client's dialect to a provider's and back. Where they are the same one, bytes pass; else neutral values stand between."""

from typing import Final, Protocol, cast

import msgspec

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Failure, Finish, Start, StreamEvent, UsageReport
from gateway.core.errors import GatewayError, ProtocolError, Rejected
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects.base import ConversationDialect, Dialect, StreamDecoder
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.relay import Codec, EventKind
from gateway.streaming.sse import events

KEPT_LIMIT: Final = 64 * 2**20  # bytes of a streamed answer, where some clients get all of it once more at its end
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Bridge(Protocol):
    """What stands between one client's dialect and one provider's."""

    def encode_request(
        self,
        request: ChatRequest,
        model: str,
        *,
        drops_params: bool = False,
        default_max_tokens: int | None = None,
    ) -> bytes:
        """Give the body for a provider that calls the model `model`. Raises `InvalidRequest` where it can't be said."""
        ...

    def read_answer(self, body: bytes, request: ChatRequest, now_s: float) -> tuple[bytes, Usage | None]:
        """Give the body for the client, and the usage. Raises `UpstreamError`. `now_s`: unix time, for who wants a date."""
        ...

    def read_stream(self, meter: Meter, request: ChatRequest, now_s: float) -> Codec: ...

    def reword(self, error: Rejected) -> bytes:
        """Give the body of a provider's rejection as the client can read it."""
        ...


def can_translate(client: Dialect, provider: Dialect) -> bool:
    """Whether there are neutral words for what two dialects say."""
    return all(hasattr(dialect, "to_conversation") for dialect in (client, provider))


def bridge(client: Dialect, provider: Dialect) -> Bridge:
    """Give what stands between two dialects; made when a configuration is compiled, once for each provider."""
    if client is provider:
        return _Same(client)
    return _Translation(cast(ConversationDialect, client), cast(ConversationDialect, provider))


class _Same:
    """Bytes pass."""

    __slots__ = ("_dialect",)

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def encode_request(
        self,
        request: ChatRequest,
        model: str,
        *,
        drops_params: bool = False,
        default_max_tokens: int | None = None,
    ) -> bytes:
        return self._dialect.encode_request(request, model)

    def read_answer(self, body: bytes, request: ChatRequest, now_s: float) -> tuple[bytes, Usage | None]:
        return body, self._dialect.read_answer(body)

    def read_stream(self, meter: Meter, request: ChatRequest, now_s: float) -> Codec:
        return self._dialect.read_stream(meter, hides_usage=not request.wants_usage, choices=request.n)

    def reword(self, error: Rejected) -> bytes:
        return error.body


class _Translation:
    """A client and a provider of two dialects."""

    __slots__ = ("_client", "_provider")

    def __init__(self, client: ConversationDialect, provider: ConversationDialect) -> None:
        self._client = client
        self._provider = provider

    def encode_request(
        self,
        request: ChatRequest,
        model: str,
        *,
        drops_params: bool = False,
        default_max_tokens: int | None = None,
    ) -> bytes:
        conversation = self._client.to_conversation(request)
        if conversation.max_tokens is None and default_max_tokens is not None and self._provider.NEEDS_MAX_TOKENS:
            conversation = msgspec.structs.replace(conversation, max_tokens=default_max_tokens)
        unsupported = UnsupportedParams(drops_params=drops_params, names=self._client.PARAMS)
        return self._provider.from_conversation(conversation, model, unsupported)

    def read_answer(self, body: bytes, request: ChatRequest, now_s: float) -> tuple[bytes, Usage | None]:
        try:
            completion = self._provider.decode_answer(body)
        except _UNREADABLE:
            raise ProtocolError("the provider's answer can't be read") from None
        if not _is_date(completion.created) or not completion.model:
            created = completion.created if _is_date(completion.created) else int(now_s)
            model = completion.model or request.model
            completion = msgspec.structs.replace(completion, created=created, model=model)
        return self._client.encode_answer(completion, request), completion.usage

    def read_stream(self, meter: Meter, request: ChatRequest, now_s: float) -> Codec:
        watched = self._provider.read_stream(meter, hides_usage=False, choices=1)
        return Translator(self._client, self._provider.open_decoder(), watched, request, int(now_s))

    def reword(self, error: Rejected) -> bytes:
        rejection = self._provider.read_provider_error(error.body)
        if rejection is None:
            return self._client.encode_error(error)
        return self._client.encode_provider_error(rejection, error.http_status)


class Translator:
    """Turns one stream into the client's dialect.

    The provider's own watch stands before it: it judges, meters, and says whether the stream has ended as it should. What
    can't be read once content has gone out ends the stream with an error.
    """

    __slots__ = (
        "_client",
        "_created",
        "_decoder",
        "_encoder",
        "_has_finished",
        "_has_started",
        "_is_closed",
        "_kept",
        "_model",
        "_watched",
        "has_failed",
    )

    def __init__(
        self, client: ConversationDialect, decoder: StreamDecoder, watched: Codec, request: ChatRequest, created: int
    ) -> None:
        self._client = client
        self._decoder = decoder
        self._encoder = client.open_encoder(request)
        self._watched = watched
        self._created = created
        self._model = request.model
        self._has_started = False
        self._kept = 0  # bytes of the answer that an encoder may have to remember until its end
        self._has_finished = False  # the answer is complete
        self._is_closed = False  # and so is the stream
        self.has_failed = False

    def kind(self, event: bytes) -> EventKind:
        return self._watched.kind(event)

    def pass_on(self, block: bytes) -> bytes:
        if self._is_over():
            return b""
        more, add = self._decoder.more, self._encoder.more
        written: list[bytes] = []
        try:
            block = self._watched.pass_on(block)
            is_one = block.find(b"\n\n") == len(block) - 2 and b"\r" not in block
            for event in (block,) if is_one else events(block):
                string = more(event)
                if string is not None:
                    self._kept += len(string)
                    written.append(add(string))
                else:
                    self._kept += len(event)
                    written += map(self._encode, self._decoder.feed(event))
                    if self._is_over():
                        break
            if self._kept > KEPT_LIMIT:
                raise ProtocolError("the provider's stream is too long to be translated")
            if self._decoder.is_done and self._has_finished and not self._is_over():
                written.append(self._close())
        except ProtocolError as error:
            written.append(self._fail(error))
        except _UNREADABLE:
            written.append(self._fail(ProtocolError("the provider's stream can't be read")))
        return b"".join(written)

    def closing(self) -> bytes | None:
        """Give what is missing at the end of a stream: b"" for nothing, None where it broke off."""
        if self._is_over():
            return b""
        if not self._has_finished or self._watched.closing() is None:
            return None
        return self._close()

    def _is_over(self) -> bool:
        return self._is_closed or self.has_failed

    def _encode(self, event: StreamEvent) -> bytes:
        match event:
            case Start():
                if self._has_started:
                    raise ProtocolError("the provider's stream begins twice")
                self._has_started = True
                created = event.created if _is_date(event.created) else self._created
                event = msgspec.structs.replace(event, created=created, model=event.model or self._model)
            case Failure():
                self.has_failed = True
            case UsageReport():
                pass
            case _ if not self._has_started:
                raise ProtocolError("the provider's stream has no beginning")
            case Finish():
                self._has_finished = True
        return self._encoder.encode(event)

    def _close(self) -> bytes:
        self._is_closed = True
        return self._encoder.finish()

    def _fail(self, error: GatewayError) -> bytes:
        self.has_failed = True
        return self._client.encode_error_event(error)


def _is_date(created: int) -> bool:
    """Whether a number can be a unix time, and be written as one."""
    return 0 < created < 2**53
