"""OpenAI's events that append to a text: each has a number, and padding that hides the length of its text.

So no two of them have the same bytes around the string: these templates skip the number and the padding, unlike
`json_text.Template`.
"""

import re
from typing import Final

from gateway.dialects.json_text import STRING, Template, template_of

_NUMBERED: Final = re.compile(rb'"sequence_number": ?(\d+)(?=,)')
_PADDED: Final = re.compile(rb'"obfuscation": ?"([^"\\]*)"\}[\r\n]+\Z')
_REST: Final = re.compile(rb'[^"\\]*"\}[\r\n]+\Z')


class DeltaTemplate:
    """The bytes around the number and the string of an event."""

    __slots__ = ("_between", "_head", "_is_padded", "_tail")

    def __init__(self, head: bytes, between: bytes, tail: bytes, *, is_padded: bool) -> None:
        self._head, self._between, self._tail = head, between, tail
        self._is_padded = is_padded  # then the tail ends at the start of the padding

    def string_of(self, event: bytes) -> bytes | None:
        """Return the string of an event that matches; None for any other event."""
        start = len(self._head)
        end = event.find(b",", start)
        if not (event.startswith(self._head) and event[start:end].isdigit() and event.startswith(self._between, end)):
            return None
        found = STRING.match(event, end + len(self._between))
        if found is None or not event.startswith(self._tail, found.end()):
            return None
        behind = found.end() + len(self._tail)
        is_whole = _REST.match(event, behind) is not None if self._is_padded else behind == len(event)
        return found[0] if is_whole else None


def delta_template_of(event: bytes) -> DeltaTemplate | Template | None:
    """Return the template of an event whose string is the value of `delta`; None if the order of its members is unknown.

    Quotes inside a text are escaped, so no text can look like one of the members.
    """
    numbers = _NUMBERED.findall(event)
    if not numbers:
        return template_of(event, b"delta")
    number, at = _NUMBERED.search(event), event.find(b'"delta":')
    if number is None or len(numbers) > 1 or event.count(b'"delta":') != 1 or at < number.end():
        return None
    at += len(b'"delta":')
    while event[at : at + 1] == b" ":
        at += 1
    string = STRING.match(event, at)
    if string is None:
        return None
    padding = _PADDED.search(event, string.end())
    tail = event[string.end() : len(event) if padding is None else padding.start(1)]
    return DeltaTemplate(event[: number.start(1)], event[number.end() : at], tail, is_padded=padding is not None)
