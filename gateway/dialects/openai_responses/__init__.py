"""OpenAI's responses, as bytes: https://platform.openai.com/docs/api-reference/responses

As in `openai_chat.py`, bytes pass untouched but for the model's name; usage is always told to the client. What the provider
keeps (answers before, conversations, files) and the tools that it runs itself pass with the rest.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import prompt_tokens
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import encode_error as encode_error
from gateway.dialects.openai_chat.answer import encode_provider_error as encode_provider_error
from gateway.dialects.openai_chat.answer import read_provider_error as read_provider_error
from gateway.dialects.openai_responses.answer import decode_answer as decode_answer
from gateway.dialects.openai_responses.answer import encode_answer as encode_answer
from gateway.dialects.openai_responses.decoder import Decoder
from gateway.dialects.openai_responses.encoder import Encoder
from gateway.dialects.openai_responses.request_in import PARAMS as PARAMS
from gateway.dialects.openai_responses.request_in import to_conversation as to_conversation
from gateway.dialects.openai_responses.request_out import from_conversation as from_conversation
from gateway.dialects.openai_responses.usage import Usage as _Usage
from gateway.dialects.openai_responses.usage import read_usage
from gateway.dialects.request_body import check_shape, invalid_field, is_null, join_members, read_body
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import count_events, data_of, event_around

NAME: Final = "openai_responses"
PATH: Final = "/v1/responses"
VENDOR: Final = "openai"
NEEDS_MAX_TOKENS: Final = False


Positive = Annotated[int, msgspec.Meta(ge=1)]

_PRELUDE: Final = frozenset(
    (
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
    )
)
"""Events before there is anything to read. All others are content: behind the call of a tool that the provider runs, it has
been run, and must not be run elsewhere once more."""

_ENDS: Final = frozenset(("response.completed", "response.incomplete"))
_FAILURES: Final = frozenset(("response.failed", "error"))
_MARKS: Final = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"error"')


class _Part(msgspec.Struct):
    type: str
    text: Raw = Raw(b"")
    file_data: Raw = Raw(b"")


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    content: Raw = Raw(b"null")
    arguments: Raw = Raw(b"")
    output: Raw = Raw(b"null")
    summary: Raw = Raw(b"")


class _Request(msgspec.Struct):
    model: str
    input: str | list[_Item] | None = None
    instructions: str | None = None
    stream: bool | UnsetType | None = UNSET
    max_output_tokens: Positive | None = None
    temperature: float | None = None
    tools: list[Raw] | None = None


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("input", "tools")


class _Document(msgspec.Struct):
    object: str | None = None
    output: list[Raw] | None = None
    status: str | None = None
    error: Raw = Raw(b"null")
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str
    delta: Raw = Raw(b"")
    response: _Document | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_event = msgspec.json.Decoder(_Event).decode


# Requests


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`."""
    body, fields = read_body(raw, _decode_request)
    size = images = 0
    if isinstance(body.input, list):
        for index, item in enumerate(body.input):
            found, pictures = _measure_item(item, f"input[{index}]")
            size += found
            images += pictures
    elif body.input is not None:
        size = len(memoryview(fields["input"]))
    if body.instructions is not None:
        size += len(memoryview(fields["instructions"]))
    size += sum(len(memoryview(tool)) for tool in body.tools or ())
    check_shape(fields, _KNOWN, _LISTS)
    return ChatRequest(
        raw=raw,
        path=PATH,
        model=body.model,
        stream=bool(body.stream),
        has_stream=body.stream is not UNSET,
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        tools=len(body.tools or ()),
        images=images,
        tokens=prompt_tokens(raw, size, images),
        wants_usage=True,
        fields=fields,
    )


def _measure_item(item: _Item, path: str) -> tuple[int, int]:
    """Give the bytes of text and the number of images in an item of any type."""
    if item.type is None and item.role is None:
        raise InvalidRequest(f"{path} has neither a type nor a role", param=path, code="missing_required_parameter")
    size, images = _measure(item.content, f"{path}.content")
    if item.type == "function_call_output":
        found, pictures = _measure(item.output, f"{path}.output")
        size, images = size + found, images + pictures
    return size + len(memoryview(item.arguments)) + len(memoryview(item.summary)), images


def _measure(content: Raw, param: str) -> tuple[int, int]:
    first = memoryview(content)[0]
    if first == 0x22:  # a string
        return len(memoryview(content)), 0
    if is_null(content):
        return 0, 0
    if first != 0x5B:
        raise InvalidRequest(f"{param} must be a string or a list of typed parts", param=param, code="invalid_type")
    try:
        parts = _decode_parts(content)
    except msgspec.ValidationError as error:
        raise invalid_field(error, param) from None
    size = sum(len(memoryview(part.text)) + len(memoryview(part.file_data)) for part in parts)
    return size, sum(part.type == "input_image" for part in parts)


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Give the body for a provider that calls the model `model`: the client's bytes, the model's name replaced."""
    if model == request.model:
        return request.raw
    return join_members({**request.fields, "model": Raw(msgspec.json.encode(model))})


# Unstreamed answers


def read_answer(body: bytes) -> Usage | None:
    """Check an answer that came with status 200, and give the usage it reports.

    Raises `ProtocolError` where it is no response, `Unavailable` where it is an error in disguise.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a response") from None
    if bytes(document.error) != b"null" or document.status == "failed":
        raise Unavailable("the provider answered 200 with an error in it")
    if document.output is None:
        raise ProtocolError("the provider's answer is not a response")
    return read_usage(document.usage)


# Streams


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> "ResponseStream":
    """Give what watches one stream. Usage is part of the dialect and there is one answer, whatever is asked."""
    return ResponseStream(meter)


class ResponseStream:
    """Watches one stream pass: notes its usage and its end, which are one event."""

    __slots__ = ("_meter", "has_failed", "is_done")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.is_done = False  # the answer has been given whole, or as far as it got
        self.has_failed = False  # the provider has reported an error in the stream

    def kind(self, event: bytes) -> EventKind:
        """Say whether an event holds content, comes before it, or ends the stream.

        Raises `ProtocolError` where it is no event of a response, `Unavailable` where it reports an error.
        """
        data = data_of(event)
        if data is None or not (data := data.strip()) or data == b"[DONE]":
            return "prelude"
        try:
            found = _decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no event of a response") from None
        if found.type in _FAILURES:
            raise Unavailable("the provider reported an error in its stream")
        if found.type in _ENDS:
            return "end"
        is_prelude = found.type in _PRELUDE or not found.type.startswith("response.")
        return "prelude" if is_prelude or bytes(found.delta) == b'""' else "content"

    def pass_on(self, block: bytes) -> bytes:
        """Look at a block of whole events; give what of it the client shall have. Nothing follows the end or an error."""
        if self.is_done or self.has_failed:
            return b""
        meter = self._meter
        meter.events += count_events(block)
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        for mark in _MARKS:
            if mark in block:
                block = self._until_end(block, mark)
        return block

    def closing(self) -> bytes | None:
        """Give what is missing at the end of a stream: b"" for nothing, None where it broke off."""
        return b"" if self.is_done or self.has_failed else None

    def _until_end(self, block: bytes, mark: bytes) -> bytes:
        """Give a block up to the event of the type `mark` in it, or the whole."""
        at = block.find(mark)
        while at >= 0:
            start, end = event_around(block, at)
            found = self._decode(block[start:end])
            if found is not None and found.type == mark[1:-1].decode():
                self.has_failed = found.type in _FAILURES
                self.is_done = not self.has_failed
                if found.response is not None:
                    self._meter.usage = read_usage(found.response.usage) or self._meter.usage
                return block[:end]
            at = block.find(mark, end)
        return block

    @staticmethod
    def _decode(event: bytes) -> _Event | None:
        try:
            return _decode_event(data_of(event) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


# Between dialects


def open_decoder() -> Decoder:
    """Give what reads a provider's stream."""
    return Decoder()


def open_encoder(request: ChatRequest) -> Encoder:
    """Give what writes a client's stream."""
    return Encoder(request)


# Errors


def encode_error_event(error: GatewayError) -> bytes:
    """Give an error as an event of a stream; the official clients raise it.

    The number of the event before is not known here; who reads an error has no use for one.
    """
    shape = {"type": error.type, "message": error.message, "param": error.param, "code": error.error_code}
    told = {"type": "error", "sequence_number": 0, "code": error.error_code, "message": error.message}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({**told, "param": error.param, "error": shape})
