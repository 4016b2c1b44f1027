"""What names may be given to lets and list elements, and what was meant by an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches

from gateway.dsl.functions import GLOBALS, METHODS
from gateway.dsl.variables import ROOTS, TIERS

_WORDS = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "AND": "&&", "OR": "||", "NOT": "!"}
# The words that CEL's grammar keeps for itself (language definition, "Syntax").
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace",
     "null", "package", "return", "true", "var", "void", "while"}
)  # fmt: skip


def invalid_name_reason(name: str, lets: Iterable[str] = ()) -> str | None:
    """Say why `name` can't be given to a let or to an element of a list; None where it can."""
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


def unknown_name_message(what: str, name: str, known: Iterable[str]) -> str:
    """Say that no `what` is called `name`, with the likeliest of the `known` names, else all of them."""
    if name in _WORDS:
        return f'unknown word "{name}": write {_WORDS[name]}'
    candidates = sorted(known)
    last = {candidate.rpartition(".")[2]: candidate for candidate in candidates}
    tail = name.rpartition(".")[2]
    if close := get_close_matches(name, candidates, n=1, cutoff=0.6) or get_close_matches(
        tail, list(last), n=1, cutoff=0.75
    ):
        return f'unknown {what} "{name}"; did you mean {last.get(close[0], close[0])}?'
    return f'unknown {what} "{name}"; known are {", ".join(candidates)}'
