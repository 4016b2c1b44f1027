"""What a provider of OpenAI's dialect says: whole answers, and the events of a stream, as bytes.

Shapes: https://platform.openai.com/docs/api-reference/chat and .../chat/streaming.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.providers.simulator import Behaviour
from gateway.runtime.simulator.ask import Ask

DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": keep-alive\n\n"
FINGERPRINT: Final = "fp_simulator"

# Every third word or so holds characters of two, three and four bytes: a cut anywhere meets one soon.
_WORDS: Final = (
    "lorem",
    "café",
    "dolor",
    "naïve",
    "amet",
    "日本語",
    "elit",
    "Zürich",
    "tempor",
    "🙂🙃",
    "magna",
    "Ωmega",
    "quis",
)
_TRICKY: Final = 'data: [DONE]\n\n"usage":{"completion_tokens":9999} \u2028\u2029\u0085 \\" '

encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who asked for what, the behaviour, and what makes it one of its kind (`number`, `created`)."""

    ask: Ask
    behaviour: Behaviour
    number: int
    created: int

    @property
    def count(self) -> int:
        """How many tokens, and so content events, the answer has."""
        limit = self.ask.max_tokens
        return self.behaviour.tokens if limit is None else min(self.behaviour.tokens, limit)

    def whole(self) -> bytes:
        """Give the unstreamed answer."""
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        if self.behaviour.tools:
            message["tool_calls"] = self._tool_calls(self.behaviour.tools)
        else:
            message["content"] = "".join(self._token(index) for index in range(self.count))
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        body = {**self._frame("chat.completion"), "choices": [choice]}
        if not self.behaviour.no_usage:
            body["usage"] = self._usage()
        return encode(body)

    def role(self) -> bytes:
        """Give the event that carries only the role."""
        return self._event({"role": "assistant", "content": "", "refusal": None})

    def contents(self) -> Iterator[bytes]:
        """Give the content events, one for each token."""
        role = {"role": "assistant"} if self.behaviour.no_role else {}
        for index in range(self.count):
            yield self._event({**role, **self._delta(index)})
            role = {}

    def ending(self) -> Iterator[bytes]:
        """Give the events behind the content, but for [DONE]."""
        late = {"usage": self._usage()} if self.behaviour.late_usage and not self.behaviour.no_usage else {}
        yield self._event({}, self._finish_reason, late)
        if self.ask.wants_usage and not self.behaviour.no_usage and not late:
            yield b"data: " + encode({**self._chunk_frame, "choices": [], "usage": self._usage()}) + b"\n\n"

    @property
    def _finish_reason(self) -> str:
        if self.count < self.behaviour.tokens:
            return "length"
        return "tool_calls" if self.behaviour.tools else "stop"

    @property
    def _chunk_frame(self) -> dict[str, Any]:
        return self._frame("chat.completion.chunk")

    def _frame(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-sim-{self.number}",
            "object": kind,
            "created": self.created,
            "model": self.ask.model,
            "system_fingerprint": FINGERPRINT,
        }

    def _event(
        self, delta: Mapping[str, Any], finish: str | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._chunk_frame, "choices": [choice]}
        if self.ask.wants_usage and not self.behaviour.no_usage and not self.behaviour.bare_usage:
            chunk["usage"] = None
        return b"data: " + encode({**chunk, **(more or {})}) + b"\n\n"

    def _usage(self) -> dict[str, Any]:
        forced = self.behaviour.prompt_tokens
        prompt = self.ask.words if forced is None else forced
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": self.count,
            "total_tokens": prompt + self.count,
        }
        if self.behaviour.cached_tokens is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.behaviour.cached_tokens}
        return usage

    def _token(self, index: int) -> str:
        if self.behaviour.tricky and index == 0:
            return _TRICKY
        if self.behaviour.bytes:
            return ("lorem " * (self.behaviour.bytes // 6 + 1))[: self.behaviour.bytes]
        return _WORDS[(self.behaviour.seed * 5 + index) % len(_WORDS)] + " "

    def _delta(self, index: int) -> dict[str, Any]:
        if not self.behaviour.tools:
            return {"content": self._token(index)}
        number, is_first, arguments = self._piece(index, self.behaviour.tools)
        if is_first:
            call = {"index": number, **self._tool_call(number, arguments)}
        else:
            call = {"index": number, "function": {"arguments": arguments}}
        return {"tool_calls": [call]}

    def _tool_calls(self, calls: int) -> list[dict[str, Any]]:
        arguments = [""] * min(calls, self.count)
        for index in range(self.count):
            number, _, piece = self._piece(index, calls)
            arguments[number] += piece
        return [self._tool_call(number, text) for number, text in enumerate(arguments)]

    def _tool_call(self, number: int, arguments: str) -> dict[str, Any]:
        names = self.ask.tool_names or ("lookup",)
        function = {"name": names[number % len(names)], "arguments": arguments}
        return {"id": f"call_{self.number}_{number}", "type": "function", "function": function}

    def _piece(self, index: int, calls: int) -> tuple[int, bool, str]:
        """Give which call the token at `index` belongs to, whether it begins it, and its piece of the arguments.

        The tokens are dealt out evenly in order; a call's pieces together are the JSON object `{"words": "…"}`.
        """
        calls = min(calls, self.count)
        number = index * calls // self.count
        is_first = index == 0 or (index - 1) * calls // self.count != number
        is_last = index == self.count - 1 or (index + 1) * calls // self.count != number
        text = encode(self._token(index)).decode()[1:-1]
        return number, is_first, ('{"words": "' if is_first else "") + text + ('"}' if is_last else "")


def error_body(message: str, kind: str, code: str | None) -> bytes:
    """Give an error in OpenAI's shape."""
    return encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
