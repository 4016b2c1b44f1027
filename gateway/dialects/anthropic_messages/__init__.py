"""Anthropic's messages, as bytes: https://docs.anthropic.com/en/api/messages

As in `openai_chat.py`, bytes pass untouched but for the model's name; usage is always told to the client.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import prompt_tokens
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages.answer import decode_answer as decode_answer
from gateway.dialects.anthropic_messages.answer import encode_answer as encode_answer
from gateway.dialects.anthropic_messages.answer import encode_provider_error as encode_provider_error
from gateway.dialects.anthropic_messages.answer import error_type
from gateway.dialects.anthropic_messages.answer import read_provider_error as read_provider_error
from gateway.dialects.anthropic_messages.decoder import Decoder
from gateway.dialects.anthropic_messages.encoder import Encoder
from gateway.dialects.anthropic_messages.request_in import PARAMS as PARAMS
from gateway.dialects.anthropic_messages.request_in import to_conversation as to_conversation
from gateway.dialects.anthropic_messages.request_out import from_conversation as from_conversation
from gateway.dialects.anthropic_messages.usage import Usage as _Usage
from gateway.dialects.anthropic_messages.usage import read_usage
from gateway.dialects.request_body import check_shape, invalid_field, is_null, join_members, read_body
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import count_events, data_of, event_around

NAME: Final = "anthropic_messages"
PATH: Final = "/v1/messages"
VENDOR: Final = "anthropic"
NEEDS_MAX_TOKENS: Final = True

Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Source(msgspec.Struct):
    data: Raw = Raw(b"")


class _Block(msgspec.Struct):
    type: str
    text: Raw = Raw(b"")
    thinking: Raw = Raw(b"")
    source: _Source | None = None
    input: Raw = Raw(b"")
    content: Raw = Raw(b"")


class _Message(msgspec.Struct):
    role: str
    content: Raw


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    system: str | list[_Block] | None = None
    stream: bool | UnsetType | None = UNSET
    max_tokens: Positive | None = None
    temperature: float | None = None
    tools: list[Raw] | None = None


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("messages", "tools", "system")


class _Document(msgspec.Struct):
    type: str | None = None
    content: list[Raw] | None = None
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    stop_reason: str | None = None


class _Start(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""


class _Opened(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str
    delta: _Delta | None = None
    content_block: _Start | None = None
    message: _Opened | None = None
    usage: _Usage | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_blocks = msgspec.json.Decoder(list[_Block]).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_event = msgspec.json.Decoder(_Event).decode


# Requests


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`."""
    body, fields = read_body(raw, _decode_request)
    size = images = 0
    for index, message in enumerate(body.messages):
        found, pictures = _measure(message.content, f"messages[{index}].content")
        size += found
        images += pictures
    if body.system is not None:
        size += len(memoryview(fields["system"]))
    size += sum(len(memoryview(tool)) for tool in body.tools or ())
    check_shape(fields, _KNOWN, _LISTS)
    return ChatRequest(
        raw=raw,
        path=PATH,
        model=body.model,
        stream=bool(body.stream),
        has_stream=body.stream is not UNSET,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        tools=len(body.tools or ()),
        images=images,
        tokens=prompt_tokens(raw, size, images),
        wants_usage=True,
        fields=fields,
    )


def _measure(content: Raw, param: str) -> tuple[int, int]:
    """Give the bytes of text and the number of images in a message, results of tools included."""
    data = memoryview(content)
    if data[0] == 0x22:  # a string
        return len(data), 0
    if data[0] != 0x5B:
        raise InvalidRequest(f"{param} must be a string or a list of blocks", param=param, code="invalid_type")
    try:
        blocks = _decode_blocks(content)
    except msgspec.ValidationError as error:
        raise invalid_field(error, param) from None
    size = images = 0
    for index, block in enumerate(blocks):
        size += sum(len(memoryview(part)) for part in (block.text, block.thinking, block.input))
        images += block.type == "image"
        if block.type == "document" and block.source is not None:
            size += len(memoryview(block.source.data))
        if block.type == "tool_result" and len(memoryview(block.content)) and not is_null(block.content):
            found, pictures = _measure(block.content, f"{param}[{index}].content")
            size += found
            images += pictures
    return size, images


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Give the body for a provider that calls the model `model`: the client's bytes, the model's name replaced."""
    if model == request.model:
        return request.raw
    return join_members({**request.fields, "model": Raw(msgspec.json.encode(model))})


# Unstreamed answers


def read_answer(body: bytes) -> Usage | None:
    """Check an answer that came with status 200, and give the usage it reports.

    Raises `ProtocolError` where it is no message, `Unavailable` where it is an error in disguise.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a message") from None
    if document.type == "error":
        raise Unavailable("the provider answered 200 with an error in it")
    if document.content is None:
        raise ProtocolError("the provider's answer is not a message")
    return read_usage(document.usage)


# Streams


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> "MessageStream":
    """Give what watches one stream. Usage is part of the dialect and there is one answer, whatever is asked."""
    return MessageStream(meter)


class MessageStream:
    """Watches one stream pass: notes its usage and its end."""

    __slots__ = ("_meter", "has_failed", "is_done")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.is_done = False  # message_stop has passed
        self.has_failed = False  # the provider has reported an error in the stream

    def kind(self, event: bytes) -> EventKind:
        """Say whether an event holds content, comes before it, or ends the stream.

        Raises `ProtocolError` where it is no event of a message, `Unavailable` where it reports an error.
        """
        data = data_of(event)
        if data is None or not data.strip():
            return "prelude"
        try:
            found = _decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no event of a message") from None
        match found.type:
            case "error":
                raise Unavailable("the provider reported an error in its stream")
            case "message_stop":
                return "end"
            case "content_block_delta":
                delta = found.delta or _Delta()
                return "content" if delta != _NOTHING else "prelude"
            case "content_block_start":
                block = found.content_block or _Start()
                is_empty = block.type in ("text", "thinking") and not (block.text or block.thinking)
                return "prelude" if is_empty else "content"
            case "message_delta":
                return "content"
        return "prelude"

    def pass_on(self, block: bytes) -> bytes:
        """Look at a block of whole events; give what of it the client shall have. Nothing follows the end or an error."""
        if self.is_done or self.has_failed:
            return b""
        meter = self._meter
        meter.events += count_events(block)
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        for mark in (b'"message_stop"', b'"error"'):
            if mark in block:
                block = self._until(block, mark)
        if b'"usage"' in block:
            self._take_usage(block)
        return block

    def closing(self) -> bytes | None:
        """Give what is missing at the end of a stream: b"" for nothing, None where it broke off."""
        return b"" if self.is_done or self.has_failed else None

    def _take_usage(self, block: bytes) -> None:
        meter = self._meter
        at = block.find(b'"usage"')
        while at >= 0:
            start, end = event_around(block, at)
            found = self._decode(block[start:end])
            if found is not None:
                told = found.message.usage if found.message is not None else found.usage
                meter.usage = read_usage(told, meter.usage)
            at = block.find(b'"usage"', end)

    def _until(self, block: bytes, mark: bytes) -> bytes:
        """Give a block up to the event of the type `mark` in it, or the whole."""
        at = block.find(mark)
        while at >= 0:
            start, end = event_around(block, at)
            found = self._decode(block[start:end])
            if found is not None and found.type == mark[1:-1].decode():
                self.is_done = found.type == "message_stop"
                self.has_failed = not self.is_done
                return block[:end]
            at = block.find(mark, end)
        return block

    @staticmethod
    def _decode(event: bytes) -> _Event | None:
        try:
            return _decode_event(data_of(event) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


_NOTHING: Final = _Delta()


# Between dialects


def open_decoder() -> Decoder:
    """Give what reads a provider's stream."""
    return Decoder()


def open_encoder(request: ChatRequest) -> Encoder:
    """Give what writes a client's stream."""
    return Encoder(request)


# Errors


def encode_error(error: GatewayError) -> bytes:
    """Give an error in Anthropic's shape, which has no room for its code."""
    shape = {"type": error_type(error.http_status), "message": error.message}
    return msgspec.json.encode({"type": "error", "error": shape})


def encode_error_event(error: GatewayError) -> bytes:
    """Give an error as an event of a stream; the official clients raise it."""
    return b"event: error\ndata: %b\n\n" % encode_error(error)
