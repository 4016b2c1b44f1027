"""The tree of nodes that a file becomes: each keeps its text and its place; no type is guessed. `compose.py` makes it."""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.config.secrets import hide_keys
from gateway.core.problem import Place

NOWHERE: Final = Place()

Trail: TypeAlias = tuple[str | int, ...]
"""Where a node stands, from the root: names of keys and indices of lists."""


@dataclass(slots=True, frozen=True)
class Scalar:
    """`text` is the value without quotes; `source[start:end]` is how it was written."""

    place: Place
    text: str
    is_plain: bool
    source: str
    start: int
    end: int


@dataclass(slots=True, frozen=True)
class Sequence:
    place: Place
    items: "list[Node]"


@dataclass(slots=True, frozen=True)
class Entry:
    key: Scalar
    value: "Node"


@dataclass(slots=True, frozen=True)
class Mapping:
    place: Place
    entries: dict[str, Entry]


Node: TypeAlias = Scalar | Sequence | Mapping


def find(root: Node, trail: Trail) -> tuple[Scalar | None, Node | None]:
    """Give the node at `trail` and the key that names it (None for an item of a list, and for what is not there)."""
    key, node = None, root
    for step in trail:
        if isinstance(node, Mapping) and step in node.entries:
            key, node = node.entries[str(step)].key, node.entries[str(step)].value
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            key, node = None, node.items[step]
        else:
            return None, None
    return key, node


def place_of(root: Node, trail: Trail) -> Place:
    """Give the place of a value; of a mapping or list that of its name, where it has one; of what is missing that of its parent."""
    for length in range(len(trail), -1, -1):
        key, node = find(root, trail[:length])
        if node is not None:
            return key.place if key is not None and not isinstance(node, Scalar) else node.place
    return root.place


def key_place(root: Node, trail: Trail) -> Place:
    """Give the place of the key that ends `trail`."""
    key, _ = find(root, trail)
    return key.place if key is not None else place_of(root, trail)


def name(text: str) -> str:
    """Quote a name for a message: short, printable on any terminal, without a key that stands in it."""
    text = hide_keys(text)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(c if c.isprintable() else "?" for c in shown) + '"'


def place_at(text: str, index: int, file: str) -> Place:
    """Give the place of a character of a file."""
    line_start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    lines = len(re.findall(r"\r\n|\r|\n", text[:line_start]))
    return Place(file, lines + 1, index - line_start + 1)
