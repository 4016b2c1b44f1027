"""What the gateway reads of a request of Anthropic's messages."""

from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.core.tokens import prompt_tokens
from gateway.dialects.json_shape import DEFAULT_BOUNDS, LARGE, Bounds
from gateway.dialects.request_body import (
    NULL,
    Positive,
    RequestFacts,
    RequestMembers,
    chat_request,
    check_not_empty,
    check_shape,
    invalid_field,
    is_null,
    is_string,
    read_body,
)

PATH: Final = "/v1/messages"


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


class _Request(RequestMembers, kw_only=True):
    messages: list[_Message]
    system: Raw = NULL  # a string or blocks; a long string is not decoded
    max_tokens: Positive | None = None
    tools: list[Raw] | None = None


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("messages", "tools", "system")

_decode_request = msgspec.json.Decoder(_Request).decode
_decode_system = msgspec.json.Decoder(str | list[_Block] | None).decode
_decode_blocks = msgspec.json.Decoder(list[_Block]).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`."""
    body, fields = read_body(raw, _decode_request, bounds)
    check_not_empty(body.messages)
    size = images = 0
    for index, message in enumerate(body.messages):
        found, pictures = _measure(message.content, f"messages[{index}].content")
        size += found
        images += pictures
    if not is_null(body.system):
        _check_system(body.system)
        size += len(memoryview(body.system))
    size += sum(len(memoryview(tool)) for tool in body.tools or ())
    check_shape(fields, _KNOWN, _LISTS, is_counted=len(raw) > LARGE)
    facts = RequestFacts(
        max_tokens=body.max_tokens,
        tools=len(body.tools or ()),
        images=images,
        tokens=prompt_tokens(raw, size, images),
    )
    return chat_request(raw, PATH, body, fields, facts)


def _check_system(system: Raw) -> None:
    if not is_string(system):
        try:
            _decode_system(system)
        except msgspec.ValidationError as error:
            raise invalid_field(error, "system") from None


def _measure(content: Raw, param: str) -> tuple[int, int]:
    """Return the bytes of text and the number of images in a message, tool results included."""
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
