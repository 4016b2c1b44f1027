"""`openai` for Python: chat completions."""

import json
from collections.abc import Callable
from typing import Any

import openai

from tests.matrix.asks import STEP, Ask, Call, Said, Turn
from tests.matrix.clients.base import Gathered, PythonClient, Server, stop_of


class OpenAIClient(PythonClient):
    """What the dialects of this package share."""

    # A stream that is none, or whose events have no index, breaks the helpers in ways of their own.
    errors = (openai.OpenAIError, AssertionError, TypeError)

    def make(self, server: Server, *, is_async: bool) -> Any:
        make = openai.AsyncOpenAI if is_async else openai.OpenAI
        return make(
            base_url=f"{server.url}/v1",
            api_key=server.key,
            max_retries=0,
            default_headers=server.headers,
            _strict_response_validation=server.is_strict,
        )


class OpenAIChat(OpenAIClient):
    name = "openai (Python)"
    dialect = "chat"

    def params(self, ask: Ask) -> dict[str, Any]:
        params: dict[str, Any] = {
            "model": ask.model,
            "messages": [_message(turn) for turn in ask.turns],
            "max_tokens": ask.max_tokens,
            "timeout": ask.timeout_s,
        }
        if ask.stream:
            params["stream_options"] = {"include_usage": True}
        if ask.temperature is not None:
            params["temperature"] = ask.temperature
        if ask.has_tool:
            params["tools"] = [{"type": "function", "function": {"name": "step", "parameters": STEP}}]
        if ask.must_call:
            params["tool_choice"] = "required"
        if ask.schema is not None:
            form = {"name": "answer", "schema": ask.schema, "strict": True}
            params["response_format"] = {"type": "json_schema", "json_schema": form}
        return params

    def create(self, client: Any) -> Callable[..., Any]:
        return client.chat.completions.create  # type: ignore[no-any-return]

    def open_stream(self, client: Any, params: dict[str, Any]) -> Any:
        return client.chat.completions.stream(**params)

    def count(self, event: Any, gathered: Gathered) -> None:
        gathered.pieces += event.type == "content.delta" and event.delta != ""
        gathered.argument_pieces += event.type == "tool_calls.function.arguments.delta"

    def final(self, stream: Any, gathered: Gathered) -> Any:
        return stream.get_final_completion()

    def rescue(self, error: Exception) -> Any:
        return error.completion if isinstance(error, openai.LengthFinishReasonError) else None

    def read(self, answer: Any) -> Said:
        [choice] = answer.choices
        usage = answer.usage
        details = usage and usage.prompt_tokens_details
        return Said(
            text=choice.message.content or "",
            calls=tuple(
                Call(call.id, call.function.name, json.loads(call.function.arguments))
                for call in choice.message.tool_calls or ()
            ),
            stop=stop_of(choice.finish_reason),
            input_tokens=usage.prompt_tokens if usage else 0,
            cached_tokens=(details and details.cached_tokens) or 0,
            output_tokens=usage.completion_tokens if usage else 0,
        )


def _message(turn: Turn) -> dict[str, Any]:
    if turn.by == "tool":
        return {"role": "tool", "tool_call_id": turn.call, "content": turn.text}
    if turn.by == "model":
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in turn.calls
        ]
        return {"role": "assistant", "content": turn.text or None, **({"tool_calls": calls} if calls else {})}
    if turn.images:
        images = [{"type": "image_url", "image_url": {"url": url}} for url in turn.images]
        return {"role": "user", "content": [{"type": "text", "text": turn.text}, *images]}
    return {"role": turn.by, "content": turn.text}
