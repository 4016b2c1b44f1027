"""What every dialect checks of a request body: unambiguous JSON, and limits on its nesting and its numbers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.dialects.json_shape import (
    DEFAULT_BOUNDS,
    LARGE,
    MAX_DEPTH,
    MAX_MEMBERS,
    SMALL,
    Bounds,
    DuplicateName,
    OutOfBounds,
    check_bounds,
    check_utf8,
    is_odd_number,
    is_too_deep,
    read_members,
)

_FIELD_OF_ERROR = re.compile(r"at `\$\.?([^`]*)`")
_MISSING_FIELD = re.compile(r"missing required field `([^`]*)`")
_NULL: Final = b"null"
NULL: Final = Raw(_NULL)

T = TypeVar("T")

Positive = Annotated[int, msgspec.Meta(ge=1)]
Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
"""The number of answers to one prompt; OpenAI's own limit."""


class StreamOptions(msgspec.Struct):
    """The member `stream_options` of OpenAI's older APIs."""

    include_usage: bool | None = None


class RequestMembers(msgspec.Struct):
    """Members that mean the same in every dialect of conversations; a dialect adds its own."""

    model: str
    stream: bool | UnsetType | None = UNSET
    temperature: float | None = None


class RequestFacts(msgspec.Struct, frozen=True):
    """Facts of a request that each dialect finds in its own way; the defaults are for dialects without the member."""

    tokens: int  # of the prompt, estimated
    max_tokens: int | None
    n: int = 1
    tools: int = 0
    images: int = 0
    wants_usage: bool = True  # of a stream
    has_stream_options: bool = False


_decode_list = msgspec.json.Decoder(list[Raw]).decode


def read_body(raw: bytes, decode: Callable[[bytes], T], bounds: Bounds = DEFAULT_BOUNDS) -> tuple[T, dict[str, Raw]]:
    """Return a body as its dialect's type, and its members unread. Raises `InvalidRequest`.

    The structure of a large body, its depth included, is checked against `bounds` before anything is decoded.
    """
    try:
        if len(raw) > SMALL and (len(raw) > LARGE or raw.count(b":") > MAX_MEMBERS):
            check_bounds(raw, bounds)
        if not raw.isascii():
            check_utf8(raw)  # members that are carried through unread must be UTF-8 as well
        return decode(raw), read_members(raw)
    except (msgspec.DecodeError, DuplicateName, OutOfBounds, UnicodeDecodeError, RecursionError) as error:
        refuse_body(error)


def refuse_body(error: Exception) -> NoReturn:
    """Raise `InvalidRequest` for an error in reading a body."""
    match error:
        case msgspec.ValidationError():
            raise invalid_field(error) from None
        case DuplicateName():
            name = error.args[0][:100]
            raise InvalidRequest(f"the body names {name!r} twice", param=name, code="invalid_json") from None
        case OutOfBounds():
            raise InvalidRequest(f"the body {error.args[0]}", code="invalid_json") from None
    raise InvalidRequest("the body is not valid JSON", code="invalid_json") from None


def check_shape(
    fields: Mapping[str, Raw], known: Iterable[str], lists: Iterable[str], *, is_counted: bool = False
) -> None:
    """Raise `InvalidRequest` for oversized numbers and for values nested too deep.

    `lists` names the members whose items are measured one by one; `is_counted`: `check_bounds` has measured the depth.
    """
    for name in fields.keys() - set(known):
        if is_odd_number(fields[name]):
            raise InvalidRequest(f"{name[:100]} is too large a number", param=name[:100], code="invalid_json")
    if is_counted:
        return
    lists = set(lists)
    for name, value in fields.items():
        if name in lists and memoryview(value)[0] == 0x5B:
            is_deep = any(is_too_deep(item, MAX_DEPTH - 2) for item in _decode_list(value))
        else:
            is_deep = is_too_deep(value, MAX_DEPTH - 1)
        if is_deep:
            raise InvalidRequest(f"the body is nested more than {MAX_DEPTH} deep", code="invalid_json")


def invalid_field(error: msgspec.ValidationError, prefix: str = "") -> InvalidRequest:
    """Return the error for a field of the wrong type; `prefix` is the path of the decoded value."""
    text = str(error)
    where = _FIELD_OF_ERROR.search(text)
    missing = _MISSING_FIELD.search(text)
    path = [part for part in (prefix + (where.group(1) if where else ""), missing.group(1) if missing else "") if part]
    param = ".".join(path) or None
    if missing:
        return InvalidRequest(f"{param} is missing", param=param, code="missing_required_parameter")
    what = text.partition(" - at ")[0]
    message = f"{param or 'the body'}: {what[:1].lower()}{what[1:]}"
    return InvalidRequest(message, param=param, code="invalid_type" if ", got " in what else "invalid_value")


def check_not_empty(messages: Sequence[object]) -> None:
    """Raise `InvalidRequest` for a conversation without a message, which every provider rejects."""
    if not messages:
        raise InvalidRequest("messages must not be empty", param="messages", code="invalid_value")


def is_string(value: Raw) -> bool:
    """Return whether a value is a string."""
    return memoryview(value)[0] == 0x22


def is_null(value: Raw | None) -> bool:
    """Return whether a member is absent or null, which means the same."""
    return value is None or (len(memoryview(value)) == 4 and bytes(value) == _NULL)


def join_members(fields: Mapping[str, bytes | Raw]) -> bytes:
    """Return a JSON object of `fields`; their values are copied once, unread."""
    parts: list[bytes | Raw] = []
    for name, value in fields.items():
        parts += (b",", msgspec.json.encode(name), b":", value)
    return b"".join((b"{", *parts[1:], b"}"))


def chat_request(
    raw: bytes, path: str, body: RequestMembers, fields: Mapping[str, Raw], facts: RequestFacts
) -> ChatRequest:
    """Return the request as the gateway handles it; `fields` are the unread members of `raw`."""
    return ChatRequest(
        raw=raw,
        path=path,
        model=body.model,
        stream=bool(body.stream),
        has_stream=body.stream is not UNSET,
        max_tokens=facts.max_tokens,
        temperature=body.temperature,
        n=facts.n,
        tools=facts.tools,
        images=facts.images,
        tokens=facts.tokens,
        wants_usage=facts.wants_usage,
        has_stream_options=facts.has_stream_options,
        fields=fields,
    )


def replace_model(request: ChatRequest, model: str) -> bytes:
    """Return the client's bytes for a provider that calls the model `model`; only that name is replaced."""
    if model == request.model:
        return request.raw
    return join_members({**request.fields, "model": msgspec.json.encode(model)})
