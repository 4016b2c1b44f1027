"""Error messages for users, from those of the CEL compiler."""

import re
from collections.abc import Mapping

from gateway.dsl.errors import ConditionError
from gateway.dsl.expand import Expanded
from gateway.dsl.functions import GLOBALS, METHODS

_FIRST = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '\((.*)\)'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_SYNTAX = re.compile(r"Syntax error: (?:mismatched|extraneous|no viable alternative at) input '(.*?)'(?: expecting |$)")
_MISSING = re.compile(r"Syntax error: missing (.+?) at ")
_LITERAL = re.compile(r"invalid (?:int|double) literal")
_RANGE = re.compile(r"expression of type '(.+?)' cannot be the range of a comprehension")
_UNSUPPORTED = re.compile(r"unsupported syntax '(.+?)'")

_TYPES: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "double": "a decimal number",
    "string": "a string",
    "null_type": "null",
    "dyn": "a mixed value",
}
TOO_DEEP = (
    "the condition is nested too deep, its lets included, or has too many + - * / in a row: 32 levels are the most"
)


def explain(raw: str, expanded: Expanded) -> ConditionError:
    """Return the error to show for the compiler's message `raw` about `expanded`, with its position in the user's source."""
    if "recursion" in raw:
        return ConditionError(TOO_DEEP)
    if "Iteration budget" in raw:
        return ConditionError("the condition iterates over lists for too long")
    found = _FIRST.search(raw)
    if found is None:
        return ConditionError("the condition cannot be compiled")
    return expanded.error(_message(found[3]), int(found[2]) - 1)


def type_name(name: str) -> str:
    """Return a CEL type in words: `a string`, `a list of strings`."""
    if name.startswith("list"):
        inner = name.partition("(")[2].rstrip(")")
        return f"a list of {type_name(inner).removeprefix('a ')}s" if inner in ("int", "double", "string") else "a list"
    return _TYPES.get(name, name)


def _message(text: str) -> str:
    if found := _OVERLOAD.match(text):
        return _mismatch(found[1], _split(found[2]))
    if found := _UNDECLARED.match(text):
        name = found[1]
        usage = METHODS.get(name) or GLOBALS.get(name)
        return f"{name}() takes other arguments, as in: {usage.usage}" if usage else f'unknown name "{name}"'
    if found := _MISSING.match(text):
        return f"missing {found[1]}"
    if found := _SYNTAX.match(text):
        return "the condition ends too early" if found[1] == "<EOF>" else f"unexpected {found[1]}"
    if _LITERAL.search(text):
        return "this number is too large"
    if found := _RANGE.match(text):
        return f"only a list can be iterated over, and this is {type_name(found[1])}"
    if found := _UNSUPPORTED.match(text):
        return f"unexpected {found[1]}"
    if text.startswith("reserved identifier"):
        return f"reserved word {text.rpartition(' ')[2]}"
    return text.removeprefix("Syntax error: ")


def _mismatch(operator: str, types: list[str]) -> str:
    names = [type_name(name) for name in types]
    match operator:
        case "_&&_" | "_||_":
            return f'"{operator[1:3]}" needs true or false on both sides: {_sides(names)}'
        case "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_":
            return f'"{operator.strip("_")}" cannot compare these: {_sides(names)}'
        case "_+_" | "_-_" | "_*_" | "_/_":
            return f'"{operator.strip("_")}" needs numbers on both sides: {_sides(names)}'
        case "_%_":
            return f'"%" needs whole numbers on both sides: {_sides(names)}'
        case "@in":
            return f'"in" needs a value and a list of such values: {_sides(names)}'
        case "!_" | "-_":
            return f'"{operator[0]}" needs {"true or false" if operator[0] == "!" else "a number"} behind it, not {names[0]}'
        case "_?_:_":
            return f'"? :" needs true or false, then two values of one type: it has {", ".join(names)}'
        case "_[_]":
            return f"{names[0]} has no parts to read with {names[1]}"
        case _:
            usage = METHODS.get(operator) or GLOBALS.get(operator)
            shown = f", as in: {usage.usage}" if usage else ""
            return f"{operator}() does not take {' and '.join(names)}{shown}"


def _sides(names: list[str]) -> str:
    return f"the left is {names[0]}, the right is {names[1]}"


def _split(types: str) -> list[str]:
    """Cut `string, list(int)` at its outer commas."""
    parts, depth, part = [], 0, ""
    for character in types:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()]
