"""A stream of OpenAI's completions that passes unchanged."""

from typing import Any

from gateway.dialects.openai_chat.observer import ChatStreamObserver


class CompletionStreamObserver(ChatStreamObserver):
    """Observes one stream; only the place of its content differs from a stream of chat completions."""

    __slots__ = ()

    EVENT = "completion"

    def _has_content(self, choice: Any) -> bool:
        return bool(choice.text)
