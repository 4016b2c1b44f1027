"""What the gateway reads of a request of OpenAI's chat completions."""

from itertools import repeat
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.core.tokens import prompt_tokens
from gateway.dialects.json_shape import (
    DEFAULT_BOUNDS,
    LARGE,
    MAX_DEPTH,
    Bounds,
    DuplicateName,
    OutOfBounds,
    is_odd_number,
    is_too_deep,
    read_members,
)
from gateway.dialects.request_body import (
    Choices,
    Positive,
    RequestFacts,
    RequestMembers,
    StreamOptions,
    chat_request,
    check_not_empty,
    invalid_field,
    read_body,
    refuse_body,
)

PATH: Final = "/v1/chat/completions"

_BARE_MESSAGE: Final = len('{"role":"","content":},')  # least bytes of a message beside its role and its text


class _Part(msgspec.Struct):
    type: str
    text: Raw = Raw(b"")


class _Message(msgspec.Struct):
    role: str
    content: Raw = Raw(b"null")


class _Request(RequestMembers, kw_only=True):
    messages: list[_Message]
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    n: Choices | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET


_KNOWN: Final = frozenset(_Request.__struct_fields__)

_decode_request = msgspec.json.Decoder(_Request).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`."""
    body, fields = read_body(raw, _decode_request, bounds)
    check_not_empty(body.messages)
    texts: list[int] = []
    images = 0
    try:
        for index, message in enumerate(body.messages):
            size, found = _measure(message.content, index)
            texts.append(size)
            images += found
        if body.stream_options:
            read_members(fields["stream_options"])
    except (msgspec.DecodeError, DuplicateName, OutOfBounds, UnicodeDecodeError, RecursionError) as error:
        refuse_body(error)
    content_bytes = sum(texts)
    _check_shape(raw, body, fields, texts)
    tools = [*(body.tools or ()), *(body.functions or ())]
    content_bytes += sum(len(memoryview(tool)) for tool in tools)
    facts = RequestFacts(
        max_tokens=body.max_completion_tokens or body.max_tokens,
        n=body.n or 1,
        tools=len(tools),
        images=images,
        tokens=prompt_tokens(raw, content_bytes, images),
        wants_usage=bool(body.stream_options and body.stream_options.include_usage),
        has_stream_options=body.stream_options is not UNSET,
    )
    return chat_request(raw, PATH, body, fields, facts)


def _check_shape(raw: bytes, body: _Request, fields: dict[str, Raw], texts: list[int]) -> None:
    """Raise `InvalidRequest` for oversized numbers and deep nesting; `texts` are the bytes of text in each message.

    Texts are not scanned again, and a request of little else than texts is not scanned at all.
    """
    unknown = fields.keys() - _KNOWN
    for name in unknown:
        if is_odd_number(fields[name]):
            raise InvalidRequest(f"{name[:100]} is too large a number", param=name[:100], code="invalid_json")
    if len(raw) > LARGE:  # `check_bounds` has measured the depth
        return
    besides = len(raw) - sum(texts) - _BARE_MESSAGE * sum(map(bool, texts))
    inner = MAX_DEPTH - 2  # for the items of a list at the top level
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
    """Return the bytes of text and the number of images in one message's content."""
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
    texts = sum(len(memoryview(part.text)) for part in parts)
    return texts, sum(part.type in ("image_url", "input_image", "image") for part in parts)
