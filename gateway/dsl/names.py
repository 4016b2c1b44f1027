"""Which names lets and list elements may have, and a suggestion for an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches

from gateway.dsl.functions import GLOBALS, METHODS
from gateway.dsl.variables import ROOTS, TIERS

_WORDS = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "AND": "&&", "OR": "||", "NOT": "!"}
# The reserved words of CEL's grammar (language definition, "Syntax").
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace",
     "null", "package", "return", "true", "var", "void", "while"}
)  # fmt: skip


def invalid_name_reason(name: str, lets: Iterable[str] = ()) -> str | None:
    """Return why a let or a list element may not be called `name`; None if it may."""
    if name in ROOTS or name in TIERS:
        return f'"{name}" is the name of a variable: choose another'
    if name in GLOBALS or name in METHODS or name == "has":
        return f'"{name}" is the name of a function: choose another'
    if name in _RESERVED or name in _WORDS:
        return f'"{name}" is a reserved word: choose another'
    if name in lets:
        return f'"{name}" is the name of a let: choose another'
    if not name.isascii() or not name.isidentifier():
        return f'"{name}" cannot be a name in a condition: use letters, digits and "_", not beginning with a digit'
    return None


def unknown_name_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message that no `kind` is called `name`, with the most similar of the `known` names, or all of them."""
    if name in _WORDS:
        return f'unknown word "{name}": write {_WORDS[name]}'
    candidates = sorted(known)
    root, dot, _ = name.partition(".")
    if dot and (members := [one for one in candidates if one.startswith(f"{root}.")]):
        candidates = members  # `request.user` is like `request.stream` only by what both begin with
    last = {candidate.rpartition(".")[2]: candidate for candidate in candidates}
    tail = name.rpartition(".")[2]
    if close := get_close_matches(name, [] if dot else candidates, n=1, cutoff=0.6) or get_close_matches(
        tail, list(last), n=1, cutoff=0.75
    ):
        return f'unknown {kind} "{name}"; did you mean {last.get(close[0], close[0])}?'
    return f'unknown {kind} "{name}"; known are {", ".join(candidates)}'
