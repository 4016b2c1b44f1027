"""Anthropic's messages, and the count of their tokens.

Shapes: https://docs.anthropic.com/en/api/messages and .../messages-streaming.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.answer import Answer, Part, encode, signature_of
from gateway.simulator.ask import Ask, BadAsk, decode, stops_of, texts_of, words_of
from gateway.simulator.face import Stream, Trouble
from gateway.simulator.heads import EVENT_STREAM, messages_headers

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'

_STOPS: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "calls": "tool_use",
    "refusal": "refusal",
}
_ERROR_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Where this vendor says it with another status, and other words.
_SAID_OTHERWISE: Final = {
    "insufficient_quota": (402, "Your credit balance is too low to access the API: simulated"),
    "content_policy_violation": (400, "Output blocked by content filtering policy: simulated"),
}
_DELTAS: Final = {
    "text": b'{"type":"text_delta","text":',
    "refusal": b'{"type":"text_delta","text":',
    "thinking": b'{"type":"thinking_delta","thinking":',
    "call": b'{"type":"input_json_delta","partial_json":',
}


class _Tool(msgspec.Struct):
    name: str = "lookup"


class _Message(msgspec.Struct):
    role: str
    content: Any


class _Format(msgspec.Struct):
    schema: dict[str, Any] = {}


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    system: Any = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    stop_sequences: list[str] | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class MessagesShape:
    """How Anthropic says that something is wrong, and its headers."""

    own_headers = staticmethod(messages_headers)

    @staticmethod
    def refusal(trouble: Trouble) -> tuple[int, bytes]:
        status, message = _SAID_OTHERWISE.get(trouble.code, (trouble.status, trouble.message))
        if trouble.code == "context_length_exceeded":
            message = f"prompt is too long: {message}"
        return status, _error(status, message)


class Messages(MessagesShape):
    """`POST /v1/messages`: as the real one it insists on `max_tokens`."""

    path: ClassVar[str] = "/v1/messages"

    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        ask = _read(decode(body, _BODY, "request for a message"))
        if ask.max_tokens is None:
            raise BadAsk("max_tokens: Field required")
        return ask

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        return _Events(answer) if answer.ask.stream else _whole(answer)


class CountTokens(MessagesShape):
    """`POST /v1/messages/count_tokens`."""

    path: ClassVar[str] = "/v1/messages/count_tokens"

    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        return _read(decode(body, _BODY, "request for a count"))

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        return encode({"input_tokens": answer.prompt_tokens})


def _read(read: _Body) -> Ask:
    wanted = (read.output_config and read.output_config.format) or read.output_format
    blocks = [block for message in read.messages if isinstance(message.content, list) for block in message.content]
    return Ask(
        model=read.model,
        stream=bool(read.stream),
        wants_usage=True,
        max_tokens=read.max_tokens,
        words=max(1, words_of(read.system) + sum(words_of(message.content) for message in read.messages)),
        tool_names=tuple(tool.name for tool in read.tools or ()),
        tool_results=sum(_is(block, "tool_result") for block in blocks),
        heard=_heard(read.messages),
        stop=stops_of(read.stop_sequences),
        schema=wanted.schema if wanted else None,
        has_forged_thoughts=any(
            block.get("signature") != signature_of(block.get("thinking", ""))
            for block in blocks
            if _is(block, "thinking")
        ),
    )


def _heard(messages: Sequence[_Message]) -> tuple[str, ...]:
    heard: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        heard += reversed(texts_of(message.content))
    return tuple(reversed(heard))


def _is(block: Any, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _whole(answer: Answer) -> bytes:
    content = [_block(part, part.text) for part in answer.parts if part.tokens]
    message = _message(answer, content)
    message |= _stop(answer)
    if not answer.behaviour.no_usage:
        message["usage"] = _whole_usage(answer, answer.count)
    return encode(message)


class _Events:
    """The events of a stream. All but the delta is the same within a block, so it is written once."""

    content_type = EVENT_STREAM

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._closing = b""  # what ends the block that is open

    def opening(self) -> Iterator[bytes]:
        message = _message(self._answer, [])
        if not self._answer.behaviour.no_usage:
            message["usage"] = _whole_usage(self._answer, min(1, self._answer.count))
        yield _event("message_start", {"message": message})
        yield PING

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        ping = PING if self._answer.behaviour.pings else b""
        for index, part in enumerate(part for part in self._answer.parts if part.tokens):
            before = self._closing + _event("content_block_start", {"index": index, "content_block": _block(part, "")})
            delta = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
            delta += _DELTAS[part.kind]
            if part.kind == "call":
                before += delta + b'""}}\n\n'
            self._closing = _closing(index, part)
            for token in part.tokens:
                yield before + ping, delta + encode(token) + b"}}\n\n"
                before = b""

    def ending(self) -> Iterator[bytes]:
        if self._closing:
            yield self._closing
        more = {} if self._answer.behaviour.no_usage else {"usage": _usage(self._answer, self._answer.count)}
        yield _event("message_delta", {"delta": _stop(self._answer), **more})

    def mark(self) -> bytes:
        return b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def failure(self) -> bytes:
        return b"event: error\ndata: " + _error(529, "simulated failure in the stream") + b"\n\n"


def _closing(index: int, part: Part) -> bytes:
    stop = _event("content_block_stop", {"index": index})
    if part.kind != "thinking":
        return stop
    delta = {"type": "signature_delta", "signature": signature_of(part.text)}
    return _event("content_block_delta", {"index": index, "delta": delta}) + stop


def _event(kind: str, members: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **members}))


def _message(answer: Answer, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_sim_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": answer.ask.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _stop(answer: Answer) -> dict[str, Any]:
    details = {"type": "refusal", "category": None, "explanation": None} if answer.finish == "refusal" else None
    return {"stop_reason": _STOPS[answer.finish], "stop_sequence": answer.stop_sequence, "stop_details": details}


def _block(part: Part, text: str) -> dict[str, Any]:
    """Give a block with `text` in it; "" for the one that a stream fills."""
    match part.kind:
        case "thinking":
            return {"type": "thinking", "thinking": text, "signature": signature_of(text) if text else ""}
        case "call":
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(text)}
        case _:
            return {"type": "text", "text": text}


def _input(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments) if arguments else {}
    except msgspec.DecodeError:
        return {}  # cut by `max_tokens`


def _usage(answer: Answer, output: int) -> dict[str, Any]:
    """Give usage; what the cache had or got stands beside the input, not in it."""
    cached, written = answer.behaviour.cached_tokens or 0, answer.behaviour.written_tokens or 0
    usage: dict[str, Any] = {
        "input_tokens": max(0, answer.prompt_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    }
    if answer.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": min(output, answer.thinking_tokens)}
    return usage


def _whole_usage(answer: Answer, output: int) -> dict[str, Any]:
    """Give usage as it stands in a message, where it says a little more than at a stream's end."""
    written = {"ephemeral_5m_input_tokens": answer.behaviour.written_tokens or 0, "ephemeral_1h_input_tokens": 0}
    return {**_usage(answer, output), "cache_creation": written, "service_tier": "standard"}


def _error(status: int, message: str) -> bytes:
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_of_the_provider"})
