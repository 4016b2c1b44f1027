"""What the gateway reads of a request of OpenAI's responses."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

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
    check_shape,
    invalid_field,
    is_null,
    is_string,
    read_body,
)

PATH: Final = "/v1/responses"

T = TypeVar("T")


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


class _Request(RequestMembers, kw_only=True):
    input: Raw = NULL  # a string or items; a long string is not decoded
    instructions: Raw = NULL  # a string
    max_output_tokens: Positive | None = None
    tools: list[Raw] | None = None


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("input", "tools")

_decode_request = msgspec.json.Decoder(_Request).decode
_decode_items: Final[Callable[[Raw], Any]] = msgspec.json.Decoder(str | list[_Item] | None).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`."""
    body, fields = read_body(raw, _decode_request, bounds)
    size = images = 0
    if is_string(body.input):
        size = len(memoryview(body.input))
    else:
        for index, item in enumerate(_decode(_decode_items, body.input, "input") or ()):
            found, pictures = _measure_item(item, f"input[{index}]")
            size += found
            images += pictures
    if not is_null(body.instructions):
        if not is_string(body.instructions):
            _decode(_decode_text, body.instructions, "instructions")
        size += len(memoryview(body.instructions))
    size += sum(len(memoryview(tool)) for tool in body.tools or ())
    check_shape(fields, _KNOWN, _LISTS, is_counted=len(raw) > LARGE)
    facts = RequestFacts(
        max_tokens=body.max_output_tokens,
        tools=len(body.tools or ()),
        images=images,
        tokens=prompt_tokens(raw, size, images),
    )
    return chat_request(raw, PATH, body, fields, facts)


def _decode(decode: Callable[[Raw], T], value: Raw, param: str) -> T:
    try:
        return decode(value)
    except msgspec.ValidationError as error:
        raise invalid_field(error, param) from None


def _measure_item(item: _Item, path: str) -> tuple[int, int]:
    """Return the bytes of text and the number of images in an item of any type."""
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
