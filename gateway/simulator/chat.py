"""Chat completions.

Shapes: https://platform.openai.com/docs/api-reference/chat and .../chat/streaming; thinking is `reasoning_content`, as at
the servers of open models.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.answer import Answer, Part, encode
from gateway.simulator.ask import Ask, BadAsk, decode, stops_of, texts_of, words_of
from gateway.simulator.face import Stream, Trouble
from gateway.simulator.heads import EVENT_STREAM, chat_headers

DONE: Final = b"data: [DONE]\n\n"
FINGERPRINT: Final = "fp_simulator"

FINISHES: Final = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "calls": "tool_calls",
    "refusal": "stop",
}
_ERROR_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_MEMBERS: Final = {"text": b'{"content":', "thinking": b'{"reasoning_content":', "refusal": b'{"refusal":'}


class StreamOptions(msgspec.Struct):
    """How usage is asked for."""

    include_usage: bool | None = None


class _Function(msgspec.Struct):
    name: str = "lookup"


class _Tool(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: Any = None
    role: Any = None


class _JsonSchema(msgspec.Struct):
    schema: dict[str, Any] = {}


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: _JsonSchema = msgspec.field(default_factory=_JsonSchema)


class _Body(msgspec.Struct):
    model: str = ""
    messages: list[_Message] = []
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None
    stop: str | list[str] | None = None
    response_format: _Format | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class ChatShape:
    """How OpenAI says that something is wrong, and its headers: for every face of that vendor's."""

    own_headers = staticmethod(chat_headers)

    @staticmethod
    def refusal(trouble: Trouble) -> tuple[int, bytes]:
        return trouble.status, error_body(trouble)


class Chat(ChatShape):
    """`POST /v1/chat/completions`."""

    path: ClassVar[str] = "/v1/chat/completions"

    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        read = decode(body, _BODY, "chat request")
        wanted = read.response_format
        return Ask(
            model=model_of(read.model, given),
            stream=bool(read.stream),
            wants_usage=bool(read.stream_options and read.stream_options.include_usage),
            max_tokens=read.max_completion_tokens or read.max_tokens,
            words=max(1, sum(words_of(message.content) for message in read.messages)),
            tool_names=tuple(tool.function.name for tool in read.tools or ()),
            tool_results=sum(message.role == "tool" for message in read.messages),
            heard=_heard(read.messages),
            stop=stops_of(read.stop),
            schema=None if wanted is None or wanted.type == "text" else wanted.json_schema.schema,
        )

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        return _Chunks(answer) if answer.ask.stream else _whole(answer)


def _heard(messages: Sequence[_Message]) -> tuple[str, ...]:
    heard: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        if message.role == "tool":
            heard.append("".join(texts_of(message.content)))
        elif message.role == "user":
            heard += reversed(texts_of(message.content))
    return tuple(reversed(heard))


def _whole(answer: Answer) -> bytes:
    has_text = any(part.kind == "text" for part in answer.parts) or not answer.calls
    refusal = answer.text_of("refusal") or None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text_of("text") if has_text and refusal is None else None,
        "refusal": refusal,
    }
    if answer.thinking_tokens:
        message["reasoning_content"] = answer.text_of("thinking")
    if answer.calls:
        message["tool_calls"] = [_call(call, call.text) for call in answer.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISHES[answer.finish]}
    body = {**_frame(answer, "chat.completion"), "choices": [choice]}
    if not answer.behaviour.no_usage:
        body["usage"] = usage_of(answer)
    return encode(body)


class _Chunks:
    """The events of a stream. All but the delta is the same in each, so it is written once."""

    content_type = EVENT_STREAM

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        behaviour = answer.behaviour
        frame = encode(_frame(answer, "chat.completion.chunk"))
        has_usage = answer.ask.wants_usage and not behaviour.no_usage
        has_null = has_usage and not behaviour.bare_usage
        self._sends_usage = has_usage and not behaviour.late_usage
        self._is_late = behaviour.late_usage and not behaviour.no_usage
        self._frame = frame[:-1]
        self._before = b"data: " + frame[:-1] + b',"choices":[{"index":0,"delta":'
        self._after = b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if has_null else b"") + b"}\n\n"

    def opening(self) -> Iterator[bytes]:
        if not self._answer.behaviour.no_role:
            yield self._event(b'{"role":"assistant","content":"","refusal":null}')

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        deltas = self._deltas()
        if self._answer.behaviour.no_role:
            for _, event in deltas:
                yield b"", event.replace(b'"delta":{', b'"delta":{"role":"assistant",', 1)
                break
        yield from deltas

    def ending(self) -> Iterator[bytes]:
        event = self._event(b"{}").replace(
            b'"finish_reason":null', b'"finish_reason":"%b"' % FINISHES[self._answer.finish].encode(), 1
        )
        if self._is_late:
            usage = b',"usage":' + encode(usage_of(self._answer))
            event = event.replace(b',"usage":null', b"").removesuffix(b"}\n\n") + usage + b"}\n\n"
        yield event
        if self._sends_usage:
            yield b"data: " + self._frame + b',"choices":[],"usage":' + encode(usage_of(self._answer)) + b"}\n\n"

    def mark(self) -> bytes:
        return DONE

    def failure(self) -> bytes:
        return b"data: " + error_body(Trouble(500, "simulated", "simulated failure in the stream")) + b"\n\n"

    def _event(self, delta: bytes) -> bytes:
        return self._before + delta + self._after

    def _deltas(self) -> Iterator[tuple[bytes, bytes]]:
        number = 0
        for part in self._answer.parts:
            if part.kind == "call":
                yield from self._call_deltas(number, part)
                number += 1
                continue
            before = self._before + _MEMBERS[part.kind]
            after = b"}" + self._after
            for token in part.tokens:
                yield b"", before + encode(token) + after

    def _call_deltas(self, number: int, part: Part) -> Iterator[tuple[bytes, bytes]]:
        call: dict[str, Any] = {"index": number, **_call(part, "")}
        for token in part.tokens:
            call["function"] = {**call["function"], "arguments": token}
            yield b"", self._event(encode({"tool_calls": [call]}))
            call = {"index": number, "function": {}}


def _call(part: Part, arguments: str) -> dict[str, Any]:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}


def _frame(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-sim-{answer.number}",
        "object": kind,
        "created": answer.created,
        "model": answer.ask.model,
        "system_fingerprint": FINGERPRINT,
    }


def usage_of(answer: Answer) -> dict[str, Any]:
    """Give usage as chat completions and the legacy ones count it: all of the prompt, what was cached in it."""
    prompt, count, behaviour = answer.prompt_tokens, answer.count, answer.behaviour
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
    cached, written = behaviour.cached_tokens, behaviour.written_tokens
    if cached is not None or written is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached or 0}
        if written is not None:
            usage["prompt_tokens_details"]["cache_write_tokens"] = written
    if answer.thinking_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.thinking_tokens}
    return usage


def error_body(trouble: Trouble) -> bytes:
    """Give an error in OpenAI's shape."""
    kind = _ERROR_TYPES.get(trouble.status, "server_error" if trouble.status >= 500 else "invalid_request_error")
    if trouble.code == "insufficient_quota":
        kind = trouble.code
    return encode({"error": {"message": trouble.message, "type": kind, "param": None, "code": trouble.code}})


def model_of(model: str, given: Mapping[str, Any]) -> str:
    """Give the model's name: from the body, or from a path that names a deployment."""
    found = model or given.get("deployment", "")
    if not found:
        raise BadAsk("the body names no model")
    return found
