"""OpenAI's chat completions, as bytes: https://platform.openai.com/docs/api-reference/chat

Bytes pass untouched but for what must change; so this file looks for the few facts that it needs. A stream is watched as it
passes by `openai_chat_watch.py`.
"""

from itertools import repeat
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import prompt_tokens
from gateway.core.usage import Usage
from gateway.dialects.json_shape import MAX_DEPTH, DuplicateName, is_odd_number, is_too_deep, read_members
from gateway.dialects.openai_chat.answer import decode_answer as decode_answer
from gateway.dialects.openai_chat.answer import encode_answer as encode_answer
from gateway.dialects.openai_chat.answer import encode_provider_error as encode_provider_error
from gateway.dialects.openai_chat.answer import read_provider_error as read_provider_error
from gateway.dialects.openai_chat.observer import ChatStream
from gateway.dialects.openai_chat.request_in import PARAMS as PARAMS
from gateway.dialects.openai_chat.request_in import to_conversation as to_conversation
from gateway.dialects.openai_chat.request_out import from_conversation as from_conversation
from gateway.dialects.openai_chat.stream import Decoder, Encoder
from gateway.dialects.openai_chat.usage import Usage as _Usage
from gateway.dialects.openai_chat.usage import read_usage
from gateway.dialects.request_body import invalid_field, join_members, read_body, refuse_body

NAME: Final = "openai_chat"
PATH: Final = "/v1/chat/completions"
VENDOR: Final = "openai"
NEEDS_MAX_TOKENS: Final = False

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


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


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


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> ChatStream:
    """Give what watches one stream of `choices` answers side by side.

    With `hides_usage` the client did not ask for the usage event and does not get it.
    """
    return ChatStream(meter, hides_usage=hides_usage, choices=choices)


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
