"""`openai` for Python: responses."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.matrix.asks import STEP, Ask, Call, Failed, Said, Turn
from tests.matrix.clients.base import Gathered, stop_of
from tests.matrix.clients.openai_chat import OpenAIClient


class OpenAIResponses(OpenAIClient):
    name = "openai (Python)"
    dialect = "responses"

    def params(self, ask: Ask) -> dict[str, Any]:
        params: dict[str, Any] = {
            "model": ask.model,
            "input": [item for turn in ask.turns for item in _items(turn)],
            "max_output_tokens": ask.max_tokens,
            "store": False,
            "timeout": ask.timeout_s,
        }
        if ask.temperature is not None:
            params["temperature"] = ask.temperature
        if ask.has_tool:
            params["tools"] = [{"type": "function", "name": "step", "parameters": STEP, "strict": False}]
        if ask.must_call:
            params["tool_choice"] = "required"
        if ask.schema is not None:
            form = {"type": "json_schema", "name": "answer", "schema": ask.schema, "strict": True}
            params["text"] = {"format": form}
        return params

    def create(self, client: Any) -> Callable[..., Any]:
        return client.responses.create  # type: ignore[no-any-return]

    def open_stream(self, client: Any, params: dict[str, Any]) -> Any:
        return client.responses.stream(**params)

    def count(self, event: Any, gathered: Gathered) -> None:
        gathered.pieces += event.type == "response.output_text.delta"
        gathered.argument_pieces += event.type == "response.function_call_arguments.delta"
        if event.type in ("response.incomplete", "response.failed"):  # the helper knows only what is complete
            gathered.final = event.response

    def final(self, stream: Any, gathered: Gathered) -> Any:
        return gathered.final or stream.get_final_response()

    def read(self, answer: Any) -> Said:
        if answer.status == "failed":
            return Said(failed=Failed("failed response", message=answer.error.message))
        calls = tuple(
            Call(item.call_id, item.name, json.loads(item.arguments))
            for item in answer.output
            if item.type == "function_call"
        )
        usage = answer.usage
        details = usage and usage.input_tokens_details
        incomplete = answer.incomplete_details
        return Said(
            text=answer.output_text,
            calls=calls,
            stop="tool_use" if calls else stop_of(incomplete.reason if incomplete else answer.status),
            input_tokens=usage.input_tokens if usage else 0,
            cached_tokens=(details and details.cached_tokens) or 0,
            output_tokens=usage.output_tokens if usage else 0,
        )


def _items(turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.by == "tool":
        yield {"type": "function_call_output", "call_id": turn.call, "output": turn.text}
        return
    if turn.text or turn.images:
        kind = "output_text" if turn.by == "model" else "input_text"
        images = [{"type": "input_image", "image_url": url, "detail": "auto"} for url in turn.images]
        role = "assistant" if turn.by == "model" else turn.by
        yield {"role": role, "content": [{"type": kind, "text": turn.text}, *images]}
    for call in turn.calls:
        arguments = json.dumps(call.arguments)
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}
