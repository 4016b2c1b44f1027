"""What the gateway reads of a request for OpenAI's embeddings."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.core.tokens import tokens_of
from gateway.dialects.json_shape import DEFAULT_BOUNDS, LARGE, Bounds
from gateway.dialects.request_body import check_shape, invalid_field, read_body

PATH: Final = "/v1/embeddings"
MAX_INPUTS: Final = 2048  # of one call; OpenAI's own limit
Positive = Annotated[int, msgspec.Meta(ge=1)]
Token = Annotated[int, msgspec.Meta(ge=0)]
_TEXT: Final = b'"'
_LIST: Final = b"["


class _Request(msgspec.Struct):
    model: str
    input: Raw
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Positive | None = None
    user: str | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_tokens = msgspec.json.Decoder(list[Token]).decode
_decode_token_lists = msgspec.json.Decoder(list[list[Token]]).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`."""
    body, fields = read_body(raw, _decode_request, bounds)
    check_shape(fields, _Request.__struct_fields__, ("input",), is_counted=len(raw) > LARGE)
    return ChatRequest(raw=raw, path=PATH, model=body.model, tokens=max(1, _tokens(fields["input"])), fields=fields)


def inputs_of(value: Raw) -> list[bytes | Raw]:
    """Return the inputs in the member `input`, unread: texts, or lists of tokens."""
    data = bytes(value)
    if data.startswith(_TEXT):
        return [data]
    items = _decode_list(data)
    return list(items) if items and _first(items[0]) in (_TEXT, _LIST) else [data]


def _first(value: Raw) -> bytes:
    return bytes(memoryview(value)[:1])


def _tokens(value: Raw) -> int:
    """Return the tokens of the member `input`: estimated for texts, counted for tokens. Raises `InvalidRequest`."""
    data = bytes(value)
    if data.startswith(_TEXT):
        return max(1, tokens_of(data[1:-1]))
    if not data.startswith(_LIST):
        raise _wrong("must be a string, a list of strings, a list of tokens, or a list of such lists")
    items = _decode_list(data)
    if not items:
        raise InvalidRequest("input must not be empty", param="input", code="invalid_value")
    first = _first(items[0])
    try:
        if first not in (_TEXT, _LIST):
            return len(_decode_tokens(data))
        if len(items) > MAX_INPUTS:
            message = f"input holds {len(items)} inputs; a call may have {MAX_INPUTS}"
            raise InvalidRequest(message, param="input", code="invalid_value")
        if first == _LIST:
            return sum(map(len, _decode_token_lists(data)))
    except msgspec.ValidationError as error:
        raise invalid_field(error, "input") from None
    for index, item in enumerate(items):
        if _first(item) != _TEXT:
            raise _wrong("must be a string, as the first of the list is", f"input[{index}]")
    return max(len(items), tokens_of(data))


def _wrong(what: str, param: str = "input") -> InvalidRequest:
    return InvalidRequest(f"{param} {what}", param=param, code="invalid_type")
