"""Parse a complete stream of server-sent events, independently of the gateway's parser."""

import json
from dataclasses import dataclass
from typing import Any

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """One block of a stream: the text of its data lines, its name, and whether it has only comments."""

    data: str
    name: str = ""
    is_comment: bool = False

    def json(self) -> Any:
        return json.loads(self.data)


def split(stream: bytes) -> list[Event]:
    """Split a complete stream; a last block without its empty line is an error."""
    text = stream.decode().replace("\r\n", "\n").replace("\r", "\n")
    *blocks, rest = text.split("\n\n")
    assert not rest.strip("\n"), f"the stream ends inside an event: {rest[:200]!r}"
    return [_event(block.strip("\n")) for block in blocks if block.strip("\n")]


def data_events(stream: bytes) -> list[Event]:
    """Split a complete stream and drop the comments."""
    return [event for event in split(stream) if not event.is_comment]


def chunks_of(stream: bytes) -> list[Any]:
    """Return the JSON of every data event except [DONE]."""
    return [event.json() for event in data_events(stream) if event.data != DONE]


def text_of(stream: bytes) -> str:
    """Return the joined content of all deltas."""
    choices = (choice for chunk in chunks_of(stream) for choice in chunk.get("choices", []))
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def is_complete(stream: bytes) -> bool:
    """Return whether the stream ends with [DONE]."""
    events = data_events(stream)
    return bool(events) and events[-1].data == DONE


def _event(block: str) -> Event:
    fields: dict[str, list[str]] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    return Event("\n".join(fields.get("data", [])), "".join(fields.get("event", [])), set(fields) == {""})
