"""Items of OpenAI's responses that the encoder has announced and not ended, and the texts that grow in them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from gateway.core.conversation import ToolCallStart
from gateway.dialects.json_text import Pieces, quote


class GrowingPart:
    """A text that grows by deltas: output, a refusal, a summary of reasoning, or the arguments of a call."""

    __slots__ = ("_after", "_before", "_tail", "index", "kind", "pieces", "position")

    def __init__(self, kind: str, index: int, position: Mapping[str, Any]) -> None:
        self.kind = kind  # of its events, as in response.<kind>.delta
        self.index = index  # of the neutral part
        self.position = position  # the members that locate it in its events
        self.pieces = Pieces()
        name = f"response.{kind}.delta".encode()
        self._before = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
        self._after = b',%b,"delta":' % quote(position)[1:-1]
        self._tail = b',"logprobs":[]}\n\n' if kind == "output_text" else b"}\n\n"

    def append(self, number: int, string: bytes) -> bytes:
        """Return the event that appends a JSON string."""
        self.pieces.add(string)
        return b"%b%d%b%b%b" % (self._before, number, self._after, string, self._tail)

    @property
    def text(self) -> Raw:
        return Raw(self.pieces.joined())


class OpenItem:
    """An item that was announced and has not ended."""

    __slots__ = ("call", "content", "id", "part", "position")

    def __init__(self, identity: str, position: int, call: ToolCallStart | None = None) -> None:
        self.id = identity
        self.position = position
        self.call = call
        self.content: list[dict[str, Any]] = []  # the ended parts of a message
        self.part: GrowingPart | None = None
