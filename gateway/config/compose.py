"""YAML text to a tree of nodes.

Of YAML, the gateway takes one document of mappings, lists and scalars, with anchors and aliases in bounds. Tags, merge
keys, duplicate keys, keys that are not plain text and second documents are refused. The bounds keep every text of a
megabyte parsed in well under a second: libyaml takes quadratic time for depth, so depth ends the parsing.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.config.nodes import Entry, Mapping, Node, Scalar, Sequence, name, place_at
from gateway.config.yaml_hints import (
    advise_blank,
    advise_early_end,
    advise_quotes,
    advise_space,
    blank_message,
    odd_blank,
)
from gateway.core.problem import ConfigError, Place, Problem

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_NODES = 50_000  # aliases expanded


def compose(data: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """Parse one file: its root (None where it is empty) and what is wrong with it but leaves a tree.

    Raises `ConfigError` with the one problem that ends the parsing.
    """
    text = _decode(data, file)
    composer = _Composer(text, file)
    try:
        return composer.document(), composer.problems
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(error, text, file)]) from None


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._file = file
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        self._anchors: dict[str, tuple[Node, int] | None] = {}  # None: still open
        self._aliases = 0
        self._nodes = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document begins here; one file holds one")
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(event, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        before = self._nodes
        if event.tag is not None:
            self._refuse_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before + 1)
        return node

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        if event.implicit[0] and event.value and (blank := odd_blank(event.value[0] + event.value[-1])) is not None:
            at = start if blank.start() == 0 else end - 1
            self._stop_at((blank_message(blank[0]), at))
        return Scalar(self._place(event), event.value, bool(event.implicit[0]), self._text, start, end)

    def _sequence(self, event: Any, depth: int) -> Sequence:
        items = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            if isinstance(inner, yaml.AliasEvent) and inner.anchor not in self._anchors:
                self._stop(
                    inner,
                    f'no anchor {name(str(inner.anchor))} stands before this alias; {_QUOTE_STARS}: "*{inner.anchor}"',
                )
            items.append(self._node(inner, depth + 1))
        return Sequence(self._place(event), items)

    def _mapping(self, event: Any, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        last: Scalar | None = None
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            if not isinstance(inner, yaml.ScalarEvent):
                advice = advise_early_end(self._text, inner.start_mark.index)
                self._stop(inner, "a key must be plain text") if advice is None else self._stop_at(advice)
            key = self._node(inner, depth + 1)
            assert isinstance(key, Scalar)  # made from a ScalarEvent
            if key.is_plain and (blank := odd_blank(key.text)) is not None:
                self._stop_at((blank_message(blank[0]), key.start + blank.start()))
            if key.text == "" and key.is_plain:
                self._stop(inner, "a key is missing before the colon")
            if key.text == "<<" and key.is_plain:
                self._stop(inner, 'merge keys ("<<") are not taken; write the settings out, or alias a whole value')
            value = self._node(next(self._events), depth + 1)
            if last is not None and (decimal := _decimal_comma(last, key, value)) is not None:
                self.problems.append(Problem(last.place, "", f"decimals take a point: {decimal}"))
                continue
            last = value if isinstance(value, Scalar) else None
            if (first := entries.get(key.text)) is not None:
                self.problems.append(
                    Problem(key.place, "", f"{name(key.text)} stands twice; first at {first.key.place}")
                )
            else:
                entries[key.text] = Entry(key, value)
        return Mapping(self._place(event), entries)

    def _alias(self, event: Any) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._stop(event, f"more than {MAX_ALIASES} aliases")
        if event.anchor not in self._anchors:
            self._stop(event, f"no anchor {name(event.anchor)} stands before this alias")
        anchored = self._anchors[event.anchor]
        if anchored is None:
            self._stop(event, f"the alias {name(event.anchor)} stands inside its own anchor")
            raise AssertionError  # _stop has raised
        self._count(event, anchored[1])
        return anchored[0]

    def _refuse_tag(self, event: Any) -> None:
        advice = advise_quotes(self._text, event.start_mark.index)
        self._stop(
            event,
            "tags (words that begin with !) are not taken; "
            + (advice[0] if advice else "quote the value if it is text"),
        )

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES} values, aliases expanded")

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop_at(self, advice: tuple[str, int]) -> None:
        raise ConfigError([Problem(place_at(self._text, advice[1], self._file), "", advice[0])])

    def _stop(self, event: Any, message: str) -> None:
        raise ConfigError([Problem(self._place(event), "", message)])


def _decimal_comma(last: Scalar, key: Scalar, value: Node) -> str | None:
    """Return the number that a comma has cut in two, as in `{input: 0,5, output: 1}`; None where none is."""
    is_empty = isinstance(value, Scalar) and value.is_plain and not value.text
    if not (is_empty and key.text.isdigit() and last.text.isdigit() and last.is_plain and key.is_plain):
        return None
    return f"{last.text}.{key.text}" if key.source[last.end : key.start] == "," else None


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(Place(file, 1, 1), "", "larger than 1MiB")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        raise ConfigError([Problem(place_at(before, len(before), file), "", "not UTF-8 text")]) from None
    if (odd := _UNPRINTABLE.search(text)) is not None:
        place = place_at(text, odd.start(), file)
        raise ConfigError([Problem(place, "", f"the character U+{ord(odd[0]):04X} may not stand in YAML")])
    return text


_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(Place(file, 1, 1), "", "not YAML")
    place = Place(file, mark.line + 1, mark.column + 1)
    problem = str(getattr(error, "problem", None) or "not YAML")
    opened = getattr(error, "context_mark", None)
    if text[mark.index : mark.index + 1] == "\t":
        return Problem(place, "", "a tab can't indent; use spaces")
    began = opened.index if opened is not None else mark.index
    for advice in (
        advise_blank(text, began, mark.index),
        advise_early_end(text, mark.index) or advise_early_end(text, began),
        advise_quotes(text, mark.index, opened and opened.index),
        advise_space(text, mark.index) if problem in _NO_COLON else None,
    ):
        if advice is not None:
            return Problem(place_at(text, advice[1], file), "", advice[0])
    message = _OUR_WORDS.get(problem, problem)
    if "${" in text[max(0, mark.index - 1) : mark.index + 2]:
        message = "a ${…} inside braces must be quoted"
    if opened is not None and opened.line != mark.line:
        message += f" (in what begins at line {opened.line + 1})"
    return Problem(place, "", message)


_QUOTE_STARS = "quote patterns that begin with *"
_NO_COLON = ("mapping values are not allowed in this context", "could not find expected ':'")
_OUR_WORDS = {
    "did not find expected alphabetic or numeric character": _QUOTE_STARS + ', as in "*-mini"',
    "could not find expected ':'": 'a ": " was expected here; is the line complete, and the indentation right?',
    "mapping values are not allowed in this context": 'a ": " is out of place here; quote the text that holds it, or mend the indentation',
    "did not find expected key": "a key was expected here; is the indentation right, or a quote closed too early?",
    "did not find expected ',' or '}'": 'a "," or "}" was expected here; quote text that holds special characters',
    "did not find expected ',' or ']'": 'a "," or "]" was expected here; quote text that holds special characters',
    "did not find expected '-' indicator": 'a "- " was expected here; is the indentation right?',
    "found character that cannot start any token": "this character can't begin a value; quote the text",
    "did not find expected node content": "a value was expected here",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "block sequence entries are not allowed in this context": 'a list in lines ("- ") must begin on a line of its own',
    "found unknown escape character": "unknown escape after \\ in double quotes; use single quotes, or write \\\\",
    "did not find expected <document start>": "nothing more was expected here; is a bracket closed twice?",
}
