"""What the gateway reads of a request of OpenAI's completions."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.core.tokens import tokens_of
from gateway.dialects.json_shape import DEFAULT_BOUNDS, LARGE, Bounds, read_members
from gateway.dialects.request_body import (
    NULL,
    Choices,
    RequestFacts,
    RequestMembers,
    StreamOptions,
    chat_request,
    check_shape,
    is_null,
    read_body,
    refuse_body,
)

PATH: Final = "/v1/completions"


class _Request(RequestMembers, kw_only=True):
    prompt: Raw = NULL
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None  # 0: with `echo`, to have a prompt rated
    n: Choices | None = None
    stream_options: StreamOptions | UnsetType | None = UNSET


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("prompt",)

_decode_request = msgspec.json.Decoder(_Request).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_tokens = msgspec.json.Decoder(list[int]).decode
_decode_token_lists = msgspec.json.Decoder(list[list[int]]).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`.

    `n` counts the answers to all prompts together.
    """
    body, fields = read_body(raw, _decode_request, bounds)
    if body.stream_options:
        try:
            read_members(fields["stream_options"])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            refuse_body(error)
    check_shape(fields, _KNOWN, _LISTS, is_counted=len(raw) > LARGE)
    prompts, tokens = (1, 0) if is_null(body.prompt) else _measure(fields["prompt"])
    facts = RequestFacts(
        max_tokens=body.max_tokens,
        n=(body.n or 1) * prompts,
        tokens=max(1, tokens),
        wants_usage=bool(body.stream_options and body.stream_options.include_usage),
        has_stream_options=body.stream_options is not UNSET,
    )
    return chat_request(raw, PATH, body, fields, facts)


def _measure(prompt: Raw) -> tuple[int, int]:
    """Return the number of prompts and of their tokens; a prompt is a text or a list of tokens."""
    if memoryview(prompt)[0] == 0x22:
        return 1, tokens_of(bytes(prompt)[1:-1])
    for decode in (_decode_texts, _decode_tokens, _decode_token_lists):
        try:
            values: list[Any] = decode(prompt)
        except msgspec.ValidationError:
            continue
        if not values:
            break
        if isinstance(values[0], str):
            return len(values), tokens_of(bytes(prompt))
        if isinstance(values[0], int):
            return 1, len(values)
        return len(values), sum(map(len, values))
    raise InvalidRequest(
        "prompt must be a string, or a list of strings, of tokens, or of lists of tokens",
        param="prompt",
        code="invalid_type",
    )
