"""OpenAI's embeddings, as bytes: https://platform.openai.com/docs/api-reference/embeddings

One request, one answer, no streams, and no counterpart in other dialects: a provider speaks it or is not asked. What
of it can be gathered into one call, and taken apart again, stands in `openai_embeddings_batch.py`.
"""

from typing import Annotated, Final, Literal, NoReturn

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import tokens_of
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import encode_error as encode_error
from gateway.dialects.openai_chat import encode_error_event as encode_error_event
from gateway.dialects.openai_chat.usage import Usage as _Usage
from gateway.dialects.openai_chat.usage import read_usage
from gateway.dialects.request_body import check_shape, invalid_field, join_members, read_body

NAME: Final = "openai_embeddings"
PATH: Final = "/v1/embeddings"
VENDOR: Final = "openai"

MAX_INPUTS: Final = 2048  # in one call, as OpenAI has it

Positive = Annotated[int, msgspec.Meta(ge=1)]
Token = Annotated[int, msgspec.Meta(ge=0)]

_TEXT, _LIST = b'"', b"["


class _Request(msgspec.Struct):
    model: str
    input: Raw
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Positive | None = None
    user: str | None = None


class _Document(msgspec.Struct):
    data: list[Raw] | None = None
    usage: _Usage | None = None
    error: Raw = Raw(b"null")


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_tokens = msgspec.json.Decoder(list[Token]).decode
_decode_token_lists = msgspec.json.Decoder(list[list[Token]]).decode
_decode_document = msgspec.json.Decoder(_Document).decode


# Requests


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`."""
    body, fields = read_body(raw, _decode_request)
    check_shape(fields, _Request.__struct_fields__, ("input",))
    return ChatRequest(raw=raw, path=PATH, model=body.model, tokens=max(1, _tokens(fields["input"])), fields=fields)


def inputs_of(value: Raw) -> list[bytes | Raw]:
    """Give the inputs that stand in the member `input`, each as it stands: a text, or a list of tokens."""
    data = bytes(value)
    if data.startswith(_TEXT):
        return [data]
    items = _decode_list(data)
    return list(items) if items and _first(items[0]) in (_TEXT, _LIST) else [data]


def _first(value: Raw) -> bytes:
    return bytes(memoryview(value)[:1])


def _tokens(value: Raw) -> int:
    """Check the member `input`, and give how many tokens it holds: estimated for texts, counted where they are given."""
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


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Give the body for a provider that calls the model `model`: the client's bytes, but for that name."""
    if model == request.model:
        return request.raw
    return join_members({**request.fields, "model": msgspec.json.encode(model)})


# Answers


def read_answer(body: bytes) -> Usage | None:
    """Check an answer that came with status 200, and give the usage it reports.

    Raises `ProtocolError` where it holds no embeddings, `Unavailable` where it is an error in disguise.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer holds no embeddings") from None
    if document.data is None:
        if bytes(document.error) != b"null":
            raise Unavailable("the provider answered 200 with an error in it")
        raise ProtocolError("the provider's answer holds no embeddings")
    return read_usage(document.usage)


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> NoReturn:
    """There are none: no request asks for one."""
    raise ProtocolError("embeddings are not streamed")
