"""From a client's dialect to a provider's and back: bytes pass if both are the same, otherwise neutral values translate."""

from typing import Final, Protocol, cast

import msgspec

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Failure, Finish, Start, StreamEvent, UsageReport
from gateway.core.errors import ContextTooLong, GatewayError, ProtocolError, Rejected, UpstreamError
from gateway.core.exchange import Meter
from gateway.core.provider_error import TOO_LONG, read_provider_error
from gateway.core.usage import Usage
from gateway.dialects.base import ConversationDialect, Dialect, StreamDecoder
from gateway.dialects.stream_observer import StreamObserver
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.relay import Codec, EventKind
from gateway.streaming.sse import events

TRANSLATED_LIMIT: Final = 64 * 2**20  # bytes of a streamed answer; some encoders repeat all of it at its end
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Bridge(Protocol):
    """The translation between one client's dialect and one provider's."""

    translates: bool  # the dialects differ, so that every value is read and written

    def encode_request(
        self,
        request: ChatRequest,
        model: str,
        *,
        drops_params: bool = False,
        default_max_tokens: int | None = None,
    ) -> bytes:
        """Return the body for a provider that calls the model `model`. Raises `InvalidRequest` if it can't be translated."""
        ...

    def read_answer(self, body: bytes, request: ChatRequest, now_s: float) -> tuple[bytes, Usage | None]:
        """Return the body for the client, and the usage. Raises `UpstreamError`. `now_s`: Unix time, for an answer without a date."""
        ...

    def read_stream(self, meter: Meter, request: ChatRequest, now_s: float) -> Codec: ...

    def translate_error(self, error: Rejected) -> bytes:
        """Return the body of a provider's rejection in the client's dialect."""
        ...


def can_translate(client: Dialect, provider: Dialect) -> bool:
    """Return whether requests can be translated between two dialects."""
    return all(hasattr(dialect, "to_conversation") for dialect in (client, provider))


def bridge(client: Dialect, provider: Dialect) -> Bridge:
    """Return the bridge of two dialects; made once for each provider when a configuration is compiled."""
    if client is provider:
        return _PassThrough(client)
    return _Translation(cast(ConversationDialect, client), cast(ConversationDialect, provider))


class _PassThrough:
    """One dialect on both sides: bytes pass."""

    __slots__ = ("_dialect",)
    translates = False

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

    def translate_error(self, error: Rejected) -> bytes:
        """Return the provider's bytes; for a prompt that is too long with the words by which clients recognize that."""
        if isinstance(error, ContextTooLong) and can_translate(self._dialect, self._dialect):
            return cast(ConversationDialect, self._dialect).mark_too_long(error.body, error.http_status)
        return error.body


class _Translation:
    """Two dialects: neutral values translate."""

    __slots__ = ("_client", "_provider")
    translates = True

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
        observer = cast(StreamObserver, self._provider.read_stream(meter, hides_usage=False, choices=1))
        return Translator(self._client, self._provider, observer, request, int(now_s))

    def translate_error(self, error: Rejected) -> bytes:
        found = read_provider_error(error.body)
        if found is None:
            return self._client.encode_error(error)
        if isinstance(error, ContextTooLong):
            found = msgspec.structs.replace(found, code=TOO_LONG)
        return self._client.encode_provider_error(found, error.http_status, error.request_id)


class Translator:
    """Translates one stream into the client's dialect.

    The provider's stream observer runs first: it classifies and meters events, and knows whether the stream ended well. What is
    held back is decoded before the response begins, so that another endpoint can be tried where the decoder refuses it. After
    that an event that can't be read ends the stream with an error. The reason is held until the stream has ended well: some
    servers send one with every event.
    """

    __slots__ = (
        "_client",
        "_created",
        "_decoder",
        "_encoder",
        "_finish",
        "_has_started",
        "_is_closed",
        "_model",
        "_observer",
        "_translated_bytes",
        "_trial",
        "_trial_has_started",
        "has_failed",
    )

    def __init__(
        self,
        client: ConversationDialect,
        provider: ConversationDialect,
        observer: StreamObserver,
        request: ChatRequest,
        created: int,
    ) -> None:
        self._client = client
        self._decoder = provider.open_decoder()
        self._trial: StreamDecoder | None = provider.open_decoder()  # of what is held back; None after that
        self._trial_has_started = False
        self._encoder = client.open_encoder(request)
        self._observer = observer
        self._created = created
        self._model = request.model
        self._has_started = False
        self._translated_bytes = 0  # of the answer, which an encoder may have to keep until the end
        self._finish: Finish | None = None  # the last one: held until the end
        self._is_closed = False  # the end of the stream was encoded
        self.has_failed = False

    def kind(self, event: bytes) -> EventKind:
        return self._observer.kind(event)

    def holds_content(self, block: bytes) -> bool:
        has_content = False
        for event in events(block):
            has_content = has_content or self._observer.kind(event) != "prelude"
            self._try(event)
        return has_content

    def _try(self, event: bytes) -> None:
        """Decode an event that is held back. Raises `ProtocolError` if that fails."""
        if self._trial is None:
            return
        try:
            for found in () if self._trial.is_done else self._trial.feed(event):
                if isinstance(found, Failure):
                    self._trial = None
                    return
                is_start = isinstance(found, Start)
                if is_start and self._trial_has_started:
                    raise ProtocolError("the provider's stream begins twice")
                if not is_start and not self._trial_has_started and not isinstance(found, UsageReport):
                    raise ProtocolError("the provider's stream has no beginning")
                self._trial_has_started = self._trial_has_started or is_start
        except _UNREADABLE:
            raise ProtocolError("the provider's stream can't be read") from None

    def forward(self, block: bytes) -> bytes:
        self._trial = None
        if self._is_over():
            return b""
        string_delta, append = self._decoder.string_delta, self._encoder.append
        written: list[bytes] = []
        try:
            block = self._observer.forward(block)
            is_one = block.find(b"\n\n") == len(block) - 2 and b"\r" not in block
            for event in (block,) if is_one else events(block):
                string = string_delta(event)
                if string is not None:
                    self._translated_bytes += len(string)
                    written.append(append(string))
                else:
                    self._translated_bytes += len(event)
                    written += map(self._encode, self._decoder.feed(event))
                    if self._is_over():
                        break
            if self._translated_bytes > TRANSLATED_LIMIT:
                raise ProtocolError("the provider's stream is too long to be translated")
            if self._decoder.is_done and self._finish and not self._is_over() and self._observer.has_ended_well():
                written.append(self._close())
        except UpstreamError as error:
            written.append(self._fail(error))
        except _UNREADABLE:
            written.append(self._fail(ProtocolError("the provider's stream can't be read")))
        return b"".join(written)

    def closing(self, rest: bytes = b"") -> bytes | None:
        if self._is_over():
            return b""
        closing = self._observer.closing(rest)
        if self._observer.has_failed:
            return b"".join(map(self._encode, self._decoder.feed(closing or b"")))
        return None if closing is None or self._finish is None else self._close()

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
                self._finish = event
                return b""
        return self._encoder.encode(event)

    def _close(self) -> bytes:
        assert self._finish is not None
        self._is_closed = True
        return self._encoder.encode(self._finish) + self._encoder.finish()

    def _fail(self, error: GatewayError) -> bytes:
        self.has_failed = True
        return self._client.encode_error_event(error)


def _is_date(created: int) -> bool:
    """Return whether a number can be a Unix time, and can be written as one."""
    return 0 < created < 2**53
