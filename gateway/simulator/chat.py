"""Chat completions.

Shapes: https://platform.openai.com/docs/api-reference/chat and .../chat/streaming; thinking is `reasoning_content`, as at
the servers of open models.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.handler import ErrorResponse, StreamedBody
from gateway.simulator.headers import EVENT_STREAM, chat_headers
from gateway.simulator.model_output import ModelOutput, Part, encode
from gateway.simulator.request import BadRequest, SimulatedRequest, decode_body, stops_of, texts_of, words_of

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
    """The request's options for usage in a stream."""

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


class ChatConventions:
    """OpenAI's error format and headers, shared by all handlers of that vendor's endpoints."""

    provider_headers = staticmethod(chat_headers)

    @staticmethod
    def error_response(error: ErrorResponse) -> tuple[int, bytes]:
        return error.status, error_body(error)


class Chat(ChatConventions):
    """`POST /v1/chat/completions`."""

    path: ClassVar[str] = "/v1/chat/completions"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        read = decode_body(body, _BODY, "chat request")
        response_format = read.response_format
        return SimulatedRequest(
            model=model_of(read.model, params),
            stream=bool(read.stream),
            wants_usage=bool(read.stream_options and read.stream_options.include_usage),
            max_tokens=read.max_completion_tokens or read.max_tokens,
            words=max(1, sum(words_of(message.content) for message in read.messages)),
            tool_names=tuple(tool.function.name for tool in read.tools or ()),
            tool_results=sum(message.role == "tool" for message in read.messages),
            new_input=_new_input(read.messages),
            stop=stops_of(read.stop),
            schema=None
            if response_format is None or response_format.type == "text"
            else response_format.json_schema.schema,
        )

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return _Chunks(output) if output.request.stream else _whole(output)


def _new_input(messages: Sequence[_Message]) -> tuple[str, ...]:
    new_input: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        if message.role == "tool":
            new_input.append("".join(texts_of(message.content)))
        elif message.role == "user":
            new_input += reversed(texts_of(message.content))
    return tuple(reversed(new_input))


def _whole(output: ModelOutput) -> bytes:
    has_text = any(part.kind == "text" for part in output.parts) or not output.calls
    refusal = output.text_of("refusal") or None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": output.text_of("text") if has_text and refusal is None else None,
        "refusal": refusal,
    }
    if output.thinking_tokens:
        message["reasoning_content"] = output.text_of("thinking")
    if output.calls:
        message["tool_calls"] = [_call(call, call.text) for call in output.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISHES[output.finish]}
    body = {**_frame(output, "chat.completion"), "choices": [choice]}
    if not output.behaviour.no_usage:
        body["usage"] = usage_of(output)
    return encode(body)


class _Chunks:
    """The events of a stream. Everything except the delta is the same in each, so it is encoded once."""

    content_type = EVENT_STREAM

    def __init__(self, output: ModelOutput) -> None:
        self._output = output
        behaviour = output.behaviour
        frame = encode(_frame(output, "chat.completion.chunk"))
        has_usage = output.request.wants_usage and not behaviour.no_usage
        has_null = has_usage and not behaviour.bare_usage
        self._sends_usage = has_usage and not behaviour.late_usage
        self._is_late = behaviour.late_usage and not behaviour.no_usage
        self._frame = frame[:-1]
        self._before = b"data: " + frame[:-1] + b',"choices":[{"index":0,"delta":'
        self._after = b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if has_null else b"") + b"}\n\n"

    def opening(self) -> Iterator[bytes]:
        if not self._output.behaviour.no_role:
            yield self._event(b'{"role":"assistant","content":"","refusal":null}')

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        deltas = self._deltas()
        if self._output.behaviour.no_role:
            for _, event in deltas:
                yield b"", event.replace(b'"delta":{', b'"delta":{"role":"assistant",', 1)
                break
        yield from deltas

    def ending(self) -> Iterator[bytes]:
        event = self._event(b"{}").replace(
            b'"finish_reason":null', b'"finish_reason":"%b"' % FINISHES[self._output.finish].encode(), 1
        )
        if self._is_late:
            usage = b',"usage":' + encode(usage_of(self._output))
            event = event.replace(b',"usage":null', b"").removesuffix(b"}\n\n") + usage + b"}\n\n"
        yield event
        if self._sends_usage:
            yield b"data: " + self._frame + b',"choices":[],"usage":' + encode(usage_of(self._output)) + b"}\n\n"

    def end_marker(self) -> bytes:
        return DONE

    def error_event(self) -> bytes:
        return b"data: " + error_body(ErrorResponse(500, "simulated", "simulated failure in the stream")) + b"\n\n"

    def _event(self, delta: bytes) -> bytes:
        return self._before + delta + self._after

    def _deltas(self) -> Iterator[tuple[bytes, bytes]]:
        number = 0
        for part in self._output.parts:
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


def _frame(output: ModelOutput, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-sim-{output.number}",
        "object": kind,
        "created": output.created,
        "model": output.request.model,
        "system_fingerprint": FINGERPRINT,
    }


def usage_of(output: ModelOutput) -> dict[str, Any]:
    """Return usage as chat and legacy completions report it: cached tokens are part of the prompt tokens."""
    prompt, count, behaviour = output.prompt_tokens, output.token_count, output.behaviour
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
    cached, written = behaviour.cached_tokens, behaviour.written_tokens
    if cached is not None or written is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached or 0}
        if written is not None:
            usage["prompt_tokens_details"]["cache_write_tokens"] = written
    if output.thinking_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": output.thinking_tokens}
    return usage


def error_body(error: ErrorResponse) -> bytes:
    """Encode an error in OpenAI's format."""
    kind = _ERROR_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    if error.code == "insufficient_quota":
        kind = error.code
    return encode({"error": {"message": error.message, "type": kind, "param": None, "code": error.code}})


def model_of(model: str, params: Mapping[str, Any]) -> str:
    """Return the model's name from the body, or from a path that names a deployment. Raises BadRequest."""
    found = model or params.get("deployment", "")
    if not found:
        raise BadRequest("the body names no model")
    return found
