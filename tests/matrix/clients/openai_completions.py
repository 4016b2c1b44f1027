"""`openai` for Python: completions of before there were chats."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.matrix.asks import Ask, Said
from tests.matrix.clients.base import Gathered, Server, stop_of
from tests.matrix.clients.openai_chat import OpenAIClient


class OpenAICompletions(OpenAIClient):
    """The package has no helper for these streams: they are put together here."""

    name = "openai (Python)"
    dialect = "completions"

    def make(self, server: Server, *, is_async: bool) -> Any:
        # By the package's own types every event has a reason to stop, which no server's has.
        return super().make(dataclasses.replace(server, is_strict=False), is_async=is_async)

    def params(self, ask: Ask) -> dict[str, Any]:
        return {
            "model": ask.model,
            "prompt": "\n".join(turn.text for turn in ask.turns),
            "max_tokens": ask.max_tokens,
            "timeout": ask.timeout_s,
            **({} if ask.temperature is None else {"temperature": ask.temperature}),
        }

    def create(self, client: Any) -> Callable[..., Any]:
        return client.completions.create  # type: ignore[no-any-return]

    def open_stream(self, client: Any, params: dict[str, Any]) -> Any:
        return client.completions.create(**params, stream=True, stream_options={"include_usage": True})

    def count(self, event: Any, gathered: Gathered) -> None:
        gathered.pieces += bool(event.choices and event.choices[0].text)
        gathered.events.append(event)

    def final(self, stream: Any, gathered: Gathered) -> Any:
        choices = [event.choices[0] for event in gathered.events if event.choices]
        reason = next((one.finish_reason for one in reversed(choices) if one.finish_reason), None)
        choice = SimpleNamespace(text="".join(one.text for one in choices), finish_reason=reason)
        usage = next((event.usage for event in reversed(gathered.events) if event.usage), None)
        return SimpleNamespace(choices=[choice], usage=usage)

    def read(self, answer: Any) -> Said:
        [choice] = answer.choices
        usage = answer.usage
        details = usage and usage.prompt_tokens_details
        return Said(
            text=choice.text,
            stop=stop_of(choice.finish_reason),
            input_tokens=usage.prompt_tokens if usage else 0,
            cached_tokens=(details and details.cached_tokens) or 0,
            output_tokens=usage.completion_tokens if usage else 0,
        )
