"""Streams of OpenAI's chat completions in neutral events, and back."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage as Tokens
from gateway.dialects.json_text import Pieces, Template, quote, template_of
from gateway.dialects.openai_chat.answer import finish_reason, stop_reason
from gateway.dialects.openai_chat.usage import Usage, read_usage, write_usage
from gateway.streaming.sse import data_of

DONE: Final = b"data: [DONE]\n\n"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    error: _Error | str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_MEMBERS: Final = ((TextDelta, b"content"), (ThinkingDelta, b"reasoning_content"), (ToolCallDelta, b"arguments"))


class Decoder:
    """Reads a provider's stream. Parts are counted as they begin: thoughts, text, refusals and calls in any order."""

    __slots__ = ("_calls", "_has_refused", "_has_started", "_ids", "_index", "_kind", "_template", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._has_started = False
        self._has_refused = False
        self._index = -1  # of the part that goes on
        self._kind = ""  # of the same: the member that it comes in
        self._calls: dict[int, int] = {}  # the provider's number of a call to the part's
        self._ids: dict[int, str] = {}
        self._template: Template | None = None

    def more(self, event: bytes) -> bytes | None:
        return None if self._template is None else self._template.string_of(event)

    def feed(self, event: bytes) -> list[StreamEvent]:
        self._template = None
        data = data_of(event)
        if data is None or not (data := data.strip()):
            return []
        if data == b"[DONE]":
            self.is_done = True
            return []
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no chat completion chunk") from None
        found = list(self._read(chunk))
        if len(found) == 1:
            self._learn(event, found[0])
        return found

    def _learn(self, event: bytes, found: StreamEvent) -> None:
        for kind, member in _MEMBERS:
            if isinstance(found, kind):
                self._template = template_of(event, member)

    def _read(self, chunk: _Chunk) -> Iterator[StreamEvent]:
        if chunk.error is not None:
            error = _Error(chunk.error) if isinstance(chunk.error, str) else chunk.error
            code = None if error.code is None else str(error.code)
            yield Failure(error.message or "the provider reported an error", error.type or "", code)
            return
        choices = chunk.choices or ()
        if not self._has_started and choices:
            self._has_started = True
            yield Start(chunk.id or "", chunk.model or "", int(chunk.created or 0), None, chunk.service_tier)
        for choice in choices:
            if choice.index == 0:
                yield from self._choice(choice)
        usage = read_usage(chunk.usage)
        if usage is not None:
            yield UsageReport(usage)

    def _choice(self, choice: _Choice) -> Iterator[StreamEvent]:
        delta = choice.delta
        if delta is not None:
            if thoughts := delta.reasoning_content or delta.reasoning:
                yield ThinkingDelta(self._part("thinking"), thoughts)
            if delta.content:
                yield TextDelta(self._part("text"), delta.content)
            if delta.refusal:
                self._has_refused = True
                yield RefusalDelta(self._part("refusal"), delta.refusal)
            for call in delta.tool_calls or ():
                yield from self._call(call)
        if choice.finish_reason is not None:
            has_calls = bool(self._calls)
            yield Finish(stop_reason(choice.finish_reason, has_calls=has_calls, has_refused=self._has_refused))

    def _part(self, kind: str) -> int:
        if kind != self._kind:
            self._kind = kind
            self._index += 1
        return self._index

    def _call(self, call: _Call) -> Iterator[StreamEvent]:
        """A call begins with its id and name. Some servers number none, some number all of them 0."""
        function = call.function or _Function()
        number = call.index if call.index is not None else max(self._calls, default=-1) + bool(call.id)
        part = self._calls.get(number)
        if part is not None and call.id and function.name and call.id != self._ids[number]:
            number = max(self._calls) + 1
            part = None
        if part is None:
            if not function.name:
                raise ProtocolError("the provider's stream goes on with a tool call that did not begin")
            self._index += 1
            self._kind = "call"
            part = self._calls[number] = self._index
            self._ids[number] = call.id or f"call_{number}"
            yield ToolCallStart(part, self._ids[number], function.name)
        if function.arguments:
            yield ToolCallDelta(part, function.arguments)


class Encoder:
    """Writes a client's stream. With `wants_usage` it gets the event with the usage that it asked for."""

    __slots__ = (
        "_bare_call",
        "_calls",
        "_has_refused",
        "_head",
        "_is_thinking",
        "_more",
        "_tail",
        "_thoughts",
        "_usage",
        "_wants_usage",
    )

    def __init__(self, request: ChatRequest) -> None:
        self._wants_usage = request.wants_usage
        self._head = self._tail = b""
        self._more: tuple[bytes, bytes] = (b"", b"")  # around a string that goes on with the last part
        self._usage: Tokens | None = None
        self._calls: dict[int, int] = {}  # the number of a part to the call's
        self._bare_call: int | None = None  # the last call, while nothing of its arguments has come
        self._thoughts = Pieces()
        self._is_thinking = False
        self._has_refused = False

    def more(self, string: bytes) -> bytes:
        if self._is_thinking:
            self._thoughts.add(string)
        head, tail = self._more
        return b"".join((head, string, tail))

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta():
                return self._words(b"content", event.text)
            case ToolCallDelta():
                return self._arguments(self._calls[event.index], quote(event.arguments))
            case ThinkingDelta():
                if not self._is_thinking:
                    self._thoughts = Pieces()
                return self._words(b"reasoning_content", event.text, is_thinking=True)
            case RefusalDelta():
                self._has_refused = True
                return self._words(b"refusal", event.text)
            case ToolCallStart():
                return self._call(event)
            case Signature():
                return self._signature(event)
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                reason = quote(finish_reason(event.stop, has_refused=self._has_refused))
                return self._closed_call() + self._chunk(b"{}", reason)
            case Failure():
                shape = {"message": event.message, "type": event.type or "server_error", "param": None}
                return b"data: %b\n\n" % quote({"error": {**shape, "code": event.code}})

    def finish(self) -> bytes:
        if not self._wants_usage or self._usage is None:
            return DONE
        usage = quote(write_usage(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, DONE)

    def _start(self, event: Start) -> bytes:
        start: dict[str, Any] = {
            "id": event.id,
            "object": "chat.completion.chunk",
            "created": event.created,
            "model": event.model,
        }
        if event.service_tier is not None:
            start["service_tier"] = event.service_tier
        self._head = b'data: %b,"choices":' % quote(start)[:-1]
        self._tail = b',"usage":null}\n\n' if self._wants_usage else b"}\n\n"
        return self._chunk(b'{"role":"assistant","content":""}')

    def _chunk(self, delta: bytes, reason: bytes = b"null") -> bytes:
        choice = b'[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (delta, reason)
        return b"".join((self._head, choice, self._tail))

    def _frame(self, before: bytes, after: bytes) -> None:
        self._more = (
            b'%b[{"index":0,"delta":%b' % (self._head, before),
            b'%b,"logprobs":null,"finish_reason":null}]%b' % (after, self._tail),
        )

    def _words(self, member: bytes, text: str, *, is_thinking: bool = False) -> bytes:
        closed = self._closed_call()
        self._is_thinking = is_thinking
        self._frame(b'{"%b":' % member, b"}")
        return closed + self.more(quote(text))

    def _call(self, event: ToolCallStart) -> bytes:
        closed = self._closed_call()
        self._is_thinking = False
        number = self._bare_call = self._calls[event.index] = len(self._calls)
        call = {"index": number, "id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
        return closed + self._chunk(b'{"tool_calls":[%b]}' % quote(call))

    def _arguments(self, number: int, string: bytes) -> bytes:
        if number == self._bare_call and string != b'""':
            self._bare_call = None
        self._is_thinking = False
        self._frame(b'{"tool_calls":[{"index":%d,"function":{"arguments":' % number, b"}}]}")
        return self.more(string)

    def _closed_call(self) -> bytes:
        """Give a call without arguments an empty object: clients read them as JSON."""
        if self._bare_call is None:
            return b""
        return self._arguments(self._bare_call, b'"{}"')

    def _signature(self, event: Signature) -> bytes:
        """Give signed thoughts whole, so that the client can send them back with the message."""
        if event.data:
            block = quote({"type": "redacted_thinking", "data": event.data})
        else:
            thoughts = Raw(self._thoughts.joined() if self._is_thinking else b'""')
            block = quote({"type": "thinking", "thinking": thoughts, "signature": event.signature})
        self._is_thinking = False
        return self._chunk(b'{"thinking_blocks":[%b]}' % block)
