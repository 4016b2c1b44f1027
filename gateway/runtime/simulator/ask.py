"""What the simulator reads of a chat request."""

from dataclasses import dataclass
from typing import Any

import msgspec


class BadAsk(Exception):
    """The body is no chat request; the message says why."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The facts of a request that shape the answer."""

    model: str
    stream: bool = False
    wants_usage: bool = False
    max_tokens: int | None = None
    words: int = 1  # of all messages: the prompt's tokens where none are forced
    tool_names: tuple[str, ...] = ()


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Function(msgspec.Struct):
    name: str = "lookup"


class _Tool(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: Any = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message] = []
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None


def read_ask(body: bytes) -> Ask:
    """Read a request's body; raises BadAsk."""
    try:
        read = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadAsk(f"the body is not a chat request: {error}") from error
    return Ask(
        model=read.model,
        stream=bool(read.stream),
        wants_usage=bool(read.stream_options and read.stream_options.include_usage),
        max_tokens=read.max_completion_tokens or read.max_tokens,
        words=max(1, sum(_words(message.content) for message in read.messages)),
        tool_names=tuple(tool.function.name for tool in read.tools or ()),
    )


def _words(content: Any) -> int:
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, list):
        return sum(_words(part.get("text")) for part in content if isinstance(part, dict))
    return 0
