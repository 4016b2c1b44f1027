"""Words for messages: what a schema asks for, lists of words, suggestions."""

import difflib
import re
from collections.abc import Iterable

from gateway.config.definitions import Schema
from gateway.config.nodes import Trail, name
from gateway.config.secrets import hide_keys

_WANTED = {
    "object": 'must be a mapping ("key: value" lines)',
    "array": "must be a list",
    "string": "must be text",
    "boolean": "must be true or false, without quotes",
    "integer": "must be a whole number, without quotes",
    "number": "must be a plain decimal number, without quotes",
}


def path_text(trail: Trail) -> str:
    """Return a trail as in `pools.fast.members[0]`; names that hold more than letters, digits, - and _ stand in quotes."""
    text = ""
    for step in trail:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", step):
            text += f".{hide_keys(step)}" if text else hide_keys(step)
        else:
            text += f"[{name(hide_keys(step))}]"
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "…"?` where a known word is close, else the known words where they are few, else ""."""
    words = [str(one) for one in known]
    lowered = {one.lower(): one for one in reversed(words)}
    if close := difflib.get_close_matches(word.lower()[:80], list(lowered), n=1, cutoff=0.6):
        return f"; did you mean {name(lowered[close[0]])}?"
    return f"; known here: {', '.join(words)}" if 0 < len(words) <= 24 else ""


def types_of(schema: Schema) -> tuple[str, ...]:
    """Return the JSON types that a schema allows; empty where it names none."""
    if "type" not in schema and "enum" in schema:
        return ("string",)
    kinds = schema.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def wanted_of(schema: Schema) -> str:
    """Return what a schema asks for, as in `must be true or false`."""
    if title := schema.get("title"):
        return f"must be {title}{such_as(schema)}"
    if "enum" in schema:
        return "must be " + one_of(schema["enum"])
    kinds = [_WANTED[kind] for kind in types_of(schema)]
    return " or ".join(kinds[:1] + [kind.removeprefix("must be ") for kind in kinds[1:]]) or "give one"


def such_as(schema: Schema) -> str:
    """Return a schema's first three examples as the end of a message."""
    examples = [str(example) for example in schema.get("examples", ())[:3]]
    return f", such as {one_of(examples)}" if examples else ""


def one_of(words: Iterable[object]) -> str:
    """Return words as in `a, b or c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}" if first else last
