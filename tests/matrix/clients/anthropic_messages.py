"""`anthropic` for Python: messages."""

from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import httpx2

from tests.matrix.asks import STEP, Ask, Call, Said, Turn
from tests.matrix.clients.base import Gathered, PythonClient, Server, stop_of


class AnthropicMessages(PythonClient):
    name = "anthropic (Python)"
    dialect = "messages"
    errors = (anthropic.AnthropicError, httpx2.HTTPError)  # a connection that breaks in a stream is not wrapped

    def make(self, server: Server, *, is_async: bool) -> Any:
        make = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        return make(
            base_url=server.url,
            api_key=server.key,
            max_retries=0,
            default_headers=server.headers,
            _strict_response_validation=server.is_strict,
        )

    def params(self, ask: Ask) -> dict[str, Any]:
        params: dict[str, Any] = {
            "model": ask.model,
            "messages": _messages(ask.turns),
            "max_tokens": ask.max_tokens,
            "timeout": ask.timeout_s,
        }
        system = "\n".join(turn.text for turn in ask.turns if turn.by == "system")
        if system:
            params["system"] = system
        if ask.temperature is not None:
            params["extra_body"] = {"temperature": ask.temperature}  # the package has no word for it any more
        if ask.has_tool:
            params["tools"] = [{"name": "step", "input_schema": STEP}]
        if ask.must_call:
            params["tool_choice"] = {"type": "any"}
        if ask.schema is not None:
            params["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        return params

    def create(self, client: Any) -> Callable[..., Any]:
        return client.messages.create  # type: ignore[no-any-return]

    def open_stream(self, client: Any, params: dict[str, Any]) -> Any:
        return client.messages.stream(**params)

    def count(self, event: Any, gathered: Gathered) -> None:
        if event.type == "content_block_delta":
            gathered.pieces += event.delta.type == "text_delta"
            gathered.argument_pieces += event.delta.type == "input_json_delta"

    def final(self, stream: Any, gathered: Gathered) -> Any:
        return stream.get_final_message()

    def read(self, answer: Any) -> Said:
        usage = answer.usage
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        return Said(
            text="".join(block.text for block in answer.content if block.type == "text"),
            calls=tuple(Call(one.id, one.name, one.input) for one in answer.content if one.type == "tool_use"),
            stop=stop_of(answer.stop_reason),
            input_tokens=usage.input_tokens + cached + written,
            cached_tokens=cached,
            output_tokens=usage.output_tokens,
        )


def _messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.by == "system":
            continue
        role = "assistant" if turn.by == "model" else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += _blocks(turn)
        else:
            messages.append({"role": role, "content": _blocks(turn)})
    return messages


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    if turn.by == "tool":
        return [{"type": "tool_result", "tool_use_id": turn.call, "content": turn.text}]
    text = [{"type": "text", "text": turn.text}] if turn.text else []
    calls = [{"type": "tool_use", "id": one.id, "name": one.name, "input": one.arguments} for one in turn.calls]
    return [*text, *map(_image, turn.images), *calls]


def _image(url: str) -> dict[str, Any]:
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, data = url.removeprefix("data:").split(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
