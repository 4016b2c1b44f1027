"""Nodes to values, by schema: a scalar is read as what its place asks for, never as what it looks like.

`Reader` makes two trees of the shape of the file. `plain` holds what JSON Schema checks (text, numbers, booleans);
`values` holds what the gateway uses (units read, references put in) and `BROKEN` where that failed.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.config import nodes
from gateway.config.definitions import HIDDEN, Schema
from gateway.config.messages import path_text, types_of, wanted_of
from gateway.config.nodes import Node, Scalar, Sequence, Trail, find, key_place, name, place_of
from gateway.config.secrets import ReferenceProblem, References, holds_key, looks_like_key, referred
from gateway.config.unavailable import refused_value
from gateway.config.units import READERS, UnitError, read_number
from gateway.config.yaml_hints import NO_SPACE, advise_cut, no_space
from gateway.core.problem import Problem

BROKEN: Final = object()
"""Stands in `values` for what is there but can't be used; its problem has been noted."""

_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+(?![0-9,])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Reader:
    """Reads one merged tree. `problems` has at most one entry for each place in it, `warnings` any number."""

    def __init__(self, root: Node, schema: Schema, references: References) -> None:
        self.problems: dict[Trail, Problem] = {}
        self.warnings: list[Problem] = []
        self._root = root
        self._hidden: set[Trail] = set()  # where secrets stand
        self._definitions: Mapping[str, Schema] = schema["$defs"]
        self._references = references
        self.plain, self.values = self._read(root, schema, ())

    def complain(self, trail: Trail, message: str, *, at_key: bool = False) -> None:
        """Note what is wrong at `trail`, unless something is already, and break its value."""
        if trail in self.problems:
            return
        place = key_place(self._root, trail) if at_key else place_of(self._root, trail)
        self.problems[trail] = Problem(place, path_text(trail), message)
        if trail:
            _break(self.values, trail)
        else:
            self.values = BROKEN

    def warn(self, trail: Trail, message: str) -> None:
        """Note what is allowed but doubtful at `trail`."""
        self.warnings.append(Problem(place_of(self._root, trail), path_text(trail), message))

    def shown(self, trail: Trail) -> str:
        """Show a scalar for a message, as it was written: neither secrets nor what a reference stands for; "" where that leaves nothing."""
        node = self.scalar(trail)
        return "" if node is None else _shown(node, trail in self._hidden)

    def got(self, trail: Trail) -> str:
        """Show a scalar as the end of a message."""
        return f" (got {shown})" if (shown := self.shown(trail)) else ""

    def scalar(self, trail: Trail) -> Scalar | None:
        """Return the scalar at `trail`, where there is one."""
        _, node = find(self._root, trail)
        return node if isinstance(node, Scalar) else None

    def _read(self, node: Node, schema: Schema, trail: Trail) -> tuple[Any, Any]:
        definition, schema = resolve(schema, self._definitions)
        if isinstance(node, nodes.Mapping):
            plain, values = {}, {}
            for key, entry in node.entries.items():
                inner = _schema_of_key(schema, key, node)
                plain[key], values[key] = self._read(entry.value, inner, (*trail, key))
            return plain, values
        if isinstance(node, Sequence):
            items = schema.get("items", {})
            pairs = [self._read(item, items, (*trail, index)) for index, item in enumerate(node.items)]
            return [plain for plain, _ in pairs], [value for _, value in pairs]
        if "items" in schema and "string" in types_of(schema):  # one thing in place of a list of one
            plain, value = self._scalar(node, *resolve(schema["items"], self._definitions), trail)
            return plain, value if value is BROKEN else [value]
        return self._scalar(node, definition, schema, trail)

    def _scalar(self, node: Scalar, definition: str, schema: Schema, trail: Trail) -> tuple[Any, Any]:
        if definition == "condition":
            return self._condition(node, trail)
        try:
            expanded = self._references.expand(node.text, Path(node.place.file).parent)
        except ReferenceProblem as error:
            return node.text, self._broken(node, trail, str(error))
        text, is_given = expanded.text, bool(expanded.names)
        of_items, _ = resolve(schema.get("items"), self._definitions)  # one of them may stand where a list is wanted
        if definition in HIDDEN or of_items in HIDDEN:
            self._hidden.add(trail)
        self._watch_for_keys(node, definition, trail, is_given)
        if text == "" and node.is_plain and not is_given:
            return None, self._broken(node, trail, f"has no value; it {wanted_of(schema)}, or remove the line")
        if (odd := _CONTROL.search(text)) is not None:
            return text, self._broken(node, trail, f"must not hold the character U+{ord(odd[0]):04X}")
        kinds = types_of(schema)
        if definition in READERS:
            try:
                value = READERS[definition](text)
            except UnitError as error:
                message = refused_value(trail, text) or f"{error}{self.got(trail)}{_decimal_point(text)}"
                return text, self._broken(node, trail, message)
            return _plain_number(text) if "number" in kinds or "integer" in kinds else text, value
        plain = _typed(text, kinds, node.is_plain or is_given)
        if plain is None:
            message = refused_value(trail, text) or self._wrong_type(node, text, kinds, schema, trail)
            return text, self._broken(node, trail, message)
        return plain, plain

    def _wrong_type(self, node: Scalar, text: str, kinds: tuple[str, ...], schema: Schema, trail: Trail) -> str:
        """Word a text where something else is wanted: `watch:true` for a mapping, `0,5` for a number."""
        if "object" in kinds and node.is_plain and (found := NO_SPACE.match(text)) is not None:
            return no_space(found)
        return f"{wanted_of(schema)}{self.got(trail)}{_decimal_point(text) if 'number' in kinds else ''}"

    def _condition(self, node: Scalar, trail: Trail) -> tuple[Any, Any]:
        """Conditions are taken as written: no references, so that every error has its column."""
        if not node.text.strip():
            return node.text, self._broken(node, trail, "is empty; give a condition in quotes, or remove the line")
        if node.is_plain and (advice := advise_cut(node.source, node.start, node.end)) is not None:
            return node.text, self._broken(node, trail, advice)
        return node.text, node.text

    def _watch_for_keys(self, node: Scalar, definition: str, trail: Trail, is_given: bool) -> None:
        looks_so = looks_like_key if definition == "secret" and not is_given else holds_key
        if definition != "key_hash" and looks_so(node.text):
            advice = "looks like a key written into the file; give it as ${NAME} or ${file:path}"
            self.warnings.append(Problem(node.place, path_text(trail), advice))

    def _broken(self, node: Scalar, trail: Trail, message: str) -> Any:
        self.problems[trail] = Problem(node.place, path_text(trail), message)
        return BROKEN


def resolve(schema: Any, definitions: Mapping[str, Schema]) -> tuple[str, Schema]:
    """Follow a reference: the name of the definition ("" for none), and the schema with what stands beside it."""
    if not isinstance(schema, dict):
        return "", {}
    if "$ref" not in schema:
        return "", schema
    definition = str(schema["$ref"]).rpartition("/")[2]
    return definition, {**definitions[definition], **schema}


def _schema_of_key(schema: Schema, key: str, node: nodes.Mapping) -> Any:
    """Return the schema of a mapping's key: its own, else that of the branch for this `kind`, else that of all other keys."""
    for branch in schema.get("allOf", ()):
        kind = node.entries.get("kind")
        wanted = branch["if"]["properties"]["kind"]["const"]
        own = branch["then"]["properties"].get(key)
        if isinstance(own, dict) and kind and isinstance(kind.value, Scalar) and kind.value.text == wanted:
            return own
    return schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))


def _typed(text: str, kinds: tuple[str, ...], may_be_typed: bool) -> Any:
    """Read a text as the first of the types that it fits; None where it fits none. Quoted text is only text."""
    if may_be_typed:
        if "boolean" in kinds and text in ("true", "false"):
            return text == "true"
        if "integer" in kinds or "number" in kinds:
            number = _plain_number(text)
            if isinstance(number, int) or (isinstance(number, float) and "number" in kinds):
                return number
    return text if "string" in kinds or not kinds else None


def _decimal_point(text: str) -> str:
    """Return the advice for a number with a comma, as in `0,5`; "" for other texts."""
    return f"; decimals take a point: {text.replace(',', '.')}" if _DECIMAL_COMMA.match(text) else ""


def _plain_number(text: str) -> Any:
    try:
        number = read_number(text)
    except UnitError:
        return text
    return int(number) if "." not in text else float(number)


def _shown(node: Scalar, is_hidden: bool) -> str:
    if (names := referred(node.text)) != "":
        return names
    if is_hidden or looks_like_key(node.text) or ("@" in node.text and "//" in node.text):
        return ""
    return name(node.text) if node.text else "nothing"


def _break(values: Any, trail: Trail) -> None:
    for step in trail[:-1]:
        if not _has(values, step):
            return
        values = values[step]
    if _has(values, trail[-1]):
        values[trail[-1]] = BROKEN


def _has(values: Any, step: str | int) -> bool:
    if isinstance(values, dict):
        return step in values
    return isinstance(values, list) and isinstance(step, int) and step < len(values)
