"""What is asked and what came of it, in words that belong to no dialect; JavaScript gets and gives them as JSON."""

from typing import Any, Literal

import msgspec


class Call(msgspec.Struct, frozen=True):
    """A tool call. `arguments` is parsed JSON."""

    id: str
    name: str
    arguments: Any


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one side said. Of a tool: `call` is the id of the call that it answers. Images are URLs, `data:` included."""

    by: Literal["system", "user", "model", "tool"]
    text: str = ""
    images: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    call: str = ""


class Ask(msgspec.Struct, frozen=True):
    """One request."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    max_tokens: int = 64
    temperature: float | None = None
    has_tool: bool = False  # `step`, of an integer `k`
    must_call: bool = False
    schema: dict[str, Any] | None = None  # of the answer
    timeout_s: float = 10.0  # the client's own
    leaves: bool = False  # at the first piece of a stream


class Failed(msgspec.Struct, frozen=True):
    """What the client threw: the class as callers catch it, the status where it had one."""

    kind: str
    status: int | None = None
    message: str = ""
    has_request_id: bool = False


class Said(msgspec.Struct, frozen=True):
    """What the client made of the answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: str = ""  # end, length, tool_use; else the dialect's own word
    input_tokens: int = 0  # all of them, cached or not
    cached_tokens: int = 0
    output_tokens: int = 0
    pieces: int = 0  # events of a stream that brought text
    argument_pieces: int = 0  # and that brought arguments of a call
    failed: Failed | None = None


STEP: dict[str, Any] = {
    "type": "object",
    "properties": {"k": {"type": "integer"}},
    "required": ["k"],
    "additionalProperties": False,
}
"""Parameters of the tool."""
