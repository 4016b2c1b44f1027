"""OpenAI's chat completions, as bytes: https://platform.openai.com/docs/api-reference/chat

Bytes pass untouched but for what must change; so this file looks for the few facts that it needs.
That is safe because JSON escapes every quote inside a string: the bytes `"usage"` can't be part of a text.
"""

from itertools import repeat
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest, Usage
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import prompt_tokens
from gateway.dialects.json_shape import MAX_DEPTH, DuplicateName, is_odd_number, is_too_deep, read_members
from gateway.dialects.openai_chat_answer import decode_answer as decode_answer
from gateway.dialects.openai_chat_answer import encode_answer as encode_answer
from gateway.dialects.openai_chat_answer import encode_rejection as encode_rejection
from gateway.dialects.openai_chat_answer import read_rejection as read_rejection
from gateway.dialects.openai_chat_request_in import PARAMS as PARAMS
from gateway.dialects.openai_chat_request_in import to_conversation as to_conversation
from gateway.dialects.openai_chat_request_out import from_conversation as from_conversation
from gateway.dialects.openai_chat_stream import DONE as DONE
from gateway.dialects.openai_chat_stream import Decoder, Encoder
from gateway.dialects.openai_usage import Usage as _Usage
from gateway.dialects.openai_usage import read_usage
from gateway.dialects.request_body import invalid_field, join_members, read_body, refuse_body
from gateway.streaming.sse import count_events, data_of, event_around, events

NAME: Final = "openai_chat"
PATH: Final = "/v1/chat/completions"
VENDOR: Final = "openai"
NEEDS_MAX_TOKENS: Final = False

EventKind = Literal["prelude", "content", "end"]

Positive = Annotated[int, msgspec.Meta(ge=1)]

_BARE_MESSAGE: Final = len('{"role":"","content":},')  # bytes that a message with a text has at least beside both

_NULL: Final = Raw(b"null")
_TRUE: Final = Raw(b"true")


class _Part(msgspec.Struct):
    type: str
    text: Raw = Raw(b"")


class _Message(msgspec.Struct):
    role: str
    content: Raw = Raw(b"null")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | UnsetType | None = UNSET
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: float | None = None
    n: Positive | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    stream_options: _StreamOptions | UnsetType | None = UNSET


_KNOWN: Final = frozenset(_Request.__struct_fields__)


class _Document(msgspec.Struct):
    choices: list[Raw] | None = None
    usage: _Usage | None = None
    error: Raw = _NULL


class _Choice(msgspec.Struct):
    delta: dict[str, Raw] | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Raw = _NULL

    @property
    def is_error(self) -> bool:
        return bytes(self.error) != b"null"


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode

_NOTHING = (b"null", b'""', b"[]")


# Requests


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`."""
    body, fields = read_body(raw, _decode_request)
    texts: list[int] = []
    images = 0
    try:
        for index, message in enumerate(body.messages):
            size, found = _measure(message.content, index)
            texts.append(size)
            images += found
        if body.stream_options:
            read_members(fields["stream_options"])
    except (msgspec.DecodeError, DuplicateName, UnicodeDecodeError, RecursionError) as error:
        refuse_body(error)
    content_bytes = sum(texts)
    _check_shape(raw, body, fields, texts)
    tools = [*(body.tools or ()), *(body.functions or ())]
    content_bytes += sum(len(bytes(tool)) for tool in tools)
    return ChatRequest(
        raw=raw,
        path=PATH,
        model=body.model,
        stream=bool(body.stream),
        has_stream=body.stream is not UNSET,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        n=body.n or 1,
        tools=len(tools),
        images=images,
        tokens=prompt_tokens(raw, content_bytes, images),
        wants_usage=bool(body.stream_options and body.stream_options.include_usage),
        has_stream_options=body.stream_options is not UNSET,
        fields=fields,
    )


def _check_shape(raw: bytes, body: _Request, fields: dict[str, Raw], texts: list[int]) -> None:
    """Refuse what is valid and still not for every reader; `texts` are the bytes of text in each message.

    Texts are not looked at again, and nothing of a request that holds little else.
    """
    unknown = fields.keys() - _KNOWN
    for name in unknown:
        if is_odd_number(fields[name]):
            raise InvalidRequest(f"{name[:100]} is too large a number", param=name[:100], code="invalid_json")
    besides = len(raw) - sum(texts) - _BARE_MESSAGE * sum(map(bool, texts))
    inner = MAX_DEPTH - 2  # of what stands in a list at the top
    if besides <= 2 * inner:  # each level takes two bytes
        return
    roles = sum(len(message.role) for message in body.messages)
    if (
        any(is_too_deep(fields[name], MAX_DEPTH - 1) for name in unknown)
        or any(is_too_deep(tool, inner) for tool in (*(body.tools or ()), *(body.functions or ())))
        or (
            besides - roles > MAX_DEPTH
            and any(map(is_too_deep, _decode_list(fields["messages"]), repeat(inner), texts))
        )
    ):
        raise InvalidRequest(f"the body is nested more than {MAX_DEPTH} deep", code="invalid_json")


def _measure(content: Raw, index: int) -> tuple[int, int]:
    """Give the bytes of text and the number of images in one message's content."""
    data = memoryview(content)
    first = data[0]
    if first == 0x22:  # a string
        return len(data), 0
    if first == 0x6E:  # null
        return 0, 0
    param = f"messages[{index}].content"
    if first != 0x5B:
        message = f"{param} must be a string, null or a list of typed parts"
        raise InvalidRequest(message, param=param, code="invalid_type")
    try:
        parts = _decode_parts(content)
    except msgspec.ValidationError as error:
        raise invalid_field(error, param) from None
    texts = sum(len(bytes(part.text)) for part in parts)
    return texts, sum(part.type in ("image_url", "input_image", "image") for part in parts)


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Give the body for a provider that calls the model `model`: the client's bytes, with what must change.

    That is the model's name, and for a stream the wish for its usage: we count tokens, whether or not the client does.
    """
    raw = request.raw
    asks_usage = request.stream and not request.wants_usage
    if model == request.model and not (asks_usage and request.has_stream_options):
        return _with_usage_first(raw) if asks_usage else raw
    fields = dict(request.fields)
    if model != request.model:
        fields["model"] = Raw(msgspec.json.encode(model))
    if asks_usage:
        options = _decode_fields(fields["stream_options"]) if _has_options(fields) else {}
        fields["stream_options"] = Raw(join_members({**options, "include_usage": _TRUE}))
    return join_members(fields)


def _with_usage_first(raw: bytes) -> bytes:
    start = raw.index(b"{") + 1
    return b"".join((b'{"stream_options":{"include_usage":true},', memoryview(raw)[start:]))


def _has_options(fields: dict[str, Raw]) -> bool:
    return bytes(fields.get("stream_options", _NULL)) != b"null"


# Unstreamed answers


def read_answer(body: bytes) -> Usage | None:
    """Check an answer that came with status 200, and give the usage it reports.

    Raises `ProtocolError` where it is no chat completion, `Unavailable` where it is an error in disguise.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a chat completion") from None
    if document.choices is None:
        if bytes(document.error) != b"null":
            raise Unavailable("the provider answered 200 with an error in it")
        raise ProtocolError("the provider's answer is not a chat completion")
    return read_usage(document.usage)


# Streams


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> "ChatStream":
    """Give what watches one stream of `choices` answers side by side.

    With `hides_usage` the client did not ask for the usage event and does not get it.
    """
    return ChatStream(meter, hides_usage=hides_usage, choices=choices)


class ChatStream:
    """Watches one stream pass: notes its usage and its end, strips what the client did not ask for."""

    __slots__ = ("_hides_usage", "_meter", "_unfinished", "has_failed", "is_done")

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        self._meter = meter
        self._hides_usage = hides_usage
        self.is_done = False  # [DONE] has passed
        self._unfinished = choices  # so many finish_reasons have yet to pass
        self.has_failed = False  # the provider has reported an error in the stream

    def kind(self, event: bytes) -> EventKind:
        """Say whether an event holds content, comes before it, or ends the stream.

        Raises `ProtocolError` where it is no chunk, `Unavailable` where it reports an error.
        """
        data = data_of(event)
        if data is None or not data.strip():
            return "prelude"
        if data.strip() == b"[DONE]":
            return "end"
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no chat completion chunk") from None
        if chunk.is_error:
            raise Unavailable("the provider reported an error in its stream")
        return "content" if any(map(_has_content, chunk.choices or ())) else "prelude"

    def pass_on(self, block: bytes) -> bytes:
        """Look at a block of whole events; give what of it the client shall have. Nothing follows `[DONE]` or an error."""
        if self.is_done or self.has_failed:
            return b""
        meter = self._meter
        meter.events += count_events(block)
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        if b'"usage"' in block:
            block = self._take_usage(block)
        if self._unfinished > 0:
            self._unfinished -= block.count(b'"finish_reason":"') + block.count(b'"finish_reason": "')
        if b"[DONE]" in block and (end := _behind_done(block)):
            self.is_done, block = True, block[:end]
        if b'"error"' in block:
            block = self._until_error(block)
        return block

    def closing(self) -> bytes | None:
        """Give what is missing at the end of a stream: b"" for nothing, None where it broke off."""
        if self.is_done or self.has_failed:
            return b""
        return None if self._unfinished > 0 else DONE

    def _take_usage(self, block: bytes) -> bytes:
        if self._hides_usage:
            block = block.replace(b',"usage":null', b"")
        at = _find_usage(block, 0)
        while at >= 0:
            start, end = event_around(block, at)
            chunk = self._decode(block[start:end])
            usage = read_usage(chunk.usage) if chunk else None
            at = end
            if usage is not None:
                self._meter.usage = usage
                if self._hides_usage and chunk is not None and not chunk.choices:
                    block = block[:start] + block[end:]
                    at = start
            at = _find_usage(block, at)
        return block

    def _until_error(self, block: bytes) -> bytes:
        """Give a block up to the error in it, or the whole."""
        end = 0
        for event in events(block):
            end += len(event)
            chunk = self._decode(event) if b'"error"' in event else None
            if chunk is not None and chunk.is_error:
                self.has_failed, self.is_done = True, False
                return block[:end]
        return block

    @staticmethod
    def _decode(event: bytes) -> _Chunk | None:
        try:
            return _decode_chunk(data_of(event) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def _behind_done(block: bytes) -> int:
    """Give the index behind the event `[DONE]`, 0 where there is none: inside a text there is no line end before it."""
    at = block.find(b"[DONE]")
    while at >= 0:
        line = max(block.rfind(b"\n", 0, at), block.rfind(b"\r", 0, at)) + 1
        if block[line:at] in (b"data: ", b"data:") and block[at + 6 : at + 7] in (b"\n", b"\r"):
            return event_around(block, at)[1]
        at = block.find(b"[DONE]", at + 6)
    return 0


def _find_usage(block: bytes, start: int) -> int:
    """Give where a usage that is not null stands, in either of the two ways in which JSON is written; -1 for nowhere."""
    at = block.find(b'"usage":{', start)
    return at if at >= 0 else block.find(b'"usage": {', start)


def _has_content(choice: _Choice) -> bool:
    if choice.finish_reason is not None:
        return True
    delta = choice.delta or {}
    return any(name != "role" and bytes(value) not in _NOTHING for name, value in delta.items())


# Between dialects


def open_decoder() -> Decoder:
    """Give what reads a provider's stream."""
    return Decoder()


def open_encoder(request: ChatRequest) -> Encoder:
    """Give what writes a client's stream."""
    return Encoder(request)


# Errors


def encode_error(error: GatewayError) -> bytes:
    """Give an error in OpenAI's shape."""
    shape = {"message": error.message, "type": error.type, "param": error.param, "code": error.error_code}
    return msgspec.json.encode({"error": shape})


def encode_error_event(error: GatewayError) -> bytes:
    """Give an error as an event of a stream; the official clients raise it."""
    return b"data: %b\n\n" % encode_error(error)
