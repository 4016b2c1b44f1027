"""The text in the bytes of an answer, in any dialect: for estimating tokens if the provider reports no usage."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.streaming.sse import data_of, events

_TEXTS: Final = frozenset(
    {"content", "text", "delta", "thinking", "reasoning", "reasoning_content", "refusal", "arguments", "partial_json"}
)  # members whose strings are output
_OBJECTS: Final = frozenset({"input"})  # members that are output as JSON: the arguments of a tool call
_SKIPPED: Final = frozenset(
    {"usage", "response", "instructions", "tools", "metadata", "error"}
)  # members that are not searched
_REPEATS: Final = (".done", ".completed", ".incomplete")  # types of events that repeat earlier text

MAX_LEVELS: Final = 16  # levels that are searched; no dialect has text deeper

_decode = msgspec.json.Decoder().decode


def text_of_events(block: bytes) -> tuple[str, int]:
    """Return the text in a block of whole events, and how many of the events have data."""
    texts: list[str] = []
    count = 0
    for event in events(block):
        data = data_of(event)
        if data is not None:
            count += 1
            texts += _texts(data)
    return "".join(texts), count


def text_of_document(body: bytes) -> str:
    """Return the text of an unstreamed answer."""
    return "".join(_texts(body))


def _texts(data: bytes) -> Iterator[str]:
    try:
        document = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(document, dict) and not str(document.get("type")).endswith(_REPEATS):
        yield from _walk(document, MAX_LEVELS)


def _walk(value: Any, levels: int) -> Iterator[str]:
    if not levels:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, levels - 1)
    elif isinstance(value, dict):
        for name, member in value.items():
            if isinstance(member, str):
                if name in _TEXTS:
                    yield member
            elif name in _OBJECTS and member:
                yield msgspec.json.encode(member).decode()
            elif name not in _SKIPPED:
                yield from _walk(member, levels - 1)
