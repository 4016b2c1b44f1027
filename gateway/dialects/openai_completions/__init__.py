"""OpenAI's completions of before there were chats, as bytes: https://platform.openai.com/docs/api-reference/completions

Their streams end, report usage and fail as those of chat completions do, so bytes pass by the same rules. In other dialects
a prompt is what one user says.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.tokens import tokens_of
from gateway.dialects.json_shape import read_members
from gateway.dialects.openai_chat import encode_error as encode_error
from gateway.dialects.openai_chat import encode_error_event as encode_error_event
from gateway.dialects.openai_chat import encode_request as encode_request
from gateway.dialects.openai_chat import read_answer as read_answer
from gateway.dialects.openai_chat.answer import encode_provider_error as encode_provider_error
from gateway.dialects.openai_chat.answer import read_provider_error as read_provider_error
from gateway.dialects.openai_chat.observer import ChatStream
from gateway.dialects.openai_completions.answer import decode_answer as decode_answer
from gateway.dialects.openai_completions.answer import encode_answer as encode_answer
from gateway.dialects.openai_completions.request import PARAMS as PARAMS
from gateway.dialects.openai_completions.request import from_conversation as from_conversation
from gateway.dialects.openai_completions.request import to_conversation as to_conversation
from gateway.dialects.openai_completions.stream import Decoder, Encoder
from gateway.dialects.request_body import check_shape, read_body, refuse_body
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import data_of

NAME: Final = "openai_completions"
PATH: Final = "/v1/completions"
VENDOR: Final = "openai"
NEEDS_MAX_TOKENS: Final = False


Positive = Annotated[int, msgspec.Meta(ge=1)]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    model: str
    prompt: str | list[Any] | None = None
    stream: bool | UnsetType | None = UNSET
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None  # 0: with `echo`, to have a prompt rated
    temperature: float | None = None
    n: Positive | None = None
    stream_options: _StreamOptions | UnsetType | None = UNSET


_KNOWN: Final = frozenset(_Request.__struct_fields__)
_LISTS: Final = ("prompt",)


class _Choice(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    error: Raw = Raw(b"null")


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_tokens = msgspec.json.Decoder(list[int]).decode
_decode_token_lists = msgspec.json.Decoder(list[list[int]]).decode


# Requests


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`.

    `n` counts the answers to all prompts together.
    """
    body, fields = read_body(raw, _decode_request)
    if body.stream_options:
        try:
            read_members(fields["stream_options"])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            refuse_body(error)
    check_shape(fields, _KNOWN, _LISTS)
    prompts, tokens = (1, 0) if body.prompt is None else _measure(fields["prompt"])
    return ChatRequest(
        raw=raw,
        path=PATH,
        model=body.model,
        stream=bool(body.stream),
        has_stream=body.stream is not UNSET,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        n=(body.n or 1) * prompts,
        tokens=max(1, tokens),
        wants_usage=bool(body.stream_options and body.stream_options.include_usage),
        has_stream_options=body.stream_options is not UNSET,
        fields=fields,
    )


def _measure(prompt: Raw) -> tuple[int, int]:
    """Give the number of prompts and of tokens in them all: a text, several, a row of tokens, or several."""
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


# Streams


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> "CompletionStream":
    """Give what watches one stream of `choices` answers side by side.

    With `hides_usage` the client did not ask for the usage event and does not get it.
    """
    return CompletionStream(meter, hides_usage=hides_usage, choices=choices)


class CompletionStream(ChatStream):
    """Watches one stream pass; only what is content differs from a chat's."""

    __slots__ = ()

    def kind(self, event: bytes) -> EventKind:
        """Say whether an event holds content, comes before it, or ends the stream.

        Raises `ProtocolError` where it is no completion, `Unavailable` where it reports an error.
        """
        data = data_of(event)
        if data is None or not (data := data.strip()):
            return "prelude"
        if data == b"[DONE]":
            return "end"
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no completion") from None
        if bytes(chunk.error) != b"null":
            raise Unavailable("the provider reported an error in its stream")
        is_content = any(choice.text or choice.finish_reason is not None for choice in chunk.choices or ())
        return "content" if is_content else "prelude"


# Between dialects


def open_decoder() -> Decoder:
    """Give what reads a provider's stream."""
    return Decoder()


def open_encoder(request: ChatRequest) -> Encoder:
    """Give what writes a client's stream."""
    return Encoder(request)
