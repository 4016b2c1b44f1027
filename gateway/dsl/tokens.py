"""The tokens of a condition's source: CEL's grammar without what conditions do not have (bytes, maps, unsigned numbers).

Source: the CEL language definition, section "Syntax".
"""

import re
from dataclasses import dataclass
from typing import Literal

from gateway.dsl.errors import ConditionError, error_at

Kind = Literal["name", "number", "text", "operator"]

_RAW = r'[rR](?:"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"[^"\n\r]*"|\'[^\'\n\r]*\')'
_PLAIN = r'"""(?s:(?:[^\\]|\\.)*?)"""|\'\'\'(?s:(?:[^\\]|\\.)*?)\'\'\'|"(?:[^"\\\n\r]|\\.)*"|\'(?:[^\'\\\n\r]|\\.)*\''
_TOKEN = re.compile(
    rf"""
      (?P<space>\s+|//[^\n]*)
    | (?P<text>{_RAW}|{_PLAIN})
    | (?P<number>0[xX][0-9a-fA-F]+|[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:[xX].{0,2}|u.{0,4}|U.{0,8}|[0-7]{1,3}|(?s:.))")
_KNOWN_ESCAPE = re.compile(r"\\(?:[abfnrtv\\?\"'`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})\Z")
_HINTS = {
    "=": 'unexpected "=": write "==" to compare',
    "&": 'unexpected "&": write "&&" for and',
    "|": 'unexpected "|": write "||" for or',
    "`": 'unexpected "`": write headers["x-team"] for a name with dashes',
    "{": 'unexpected "{": conditions have no maps',
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    start: int  # offset in the source


def tokenise(source: str) -> list[Token]:
    """Return the tokens of `source`, without white space and comments. Raises ConditionError where none matches."""
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise error_at(source, at, _unexpected_text(source[at]))
        kind, text = found.lastgroup, found.group()
        at = found.end()
        match kind:
            case "name" | "number" | "text" | "operator":
                _refuse_suffix(source, kind, text, at)
                if kind == "text":
                    _refuse_escapes(source, text, found.start())
                tokens.append(Token(kind, text, found.start()))
            case _:
                pass  # space
    return tokens


def names_in(source: str) -> frozenset[str]:
    """Return the names in `source`; none where it is no condition."""
    try:
        return frozenset(token.text for token in tokenise(source) if token.kind == "name")
    except ConditionError:
        return frozenset()


def _refuse_suffix(source: str, kind: Kind, text: str, end: int) -> None:
    """Refuse a character right behind a token that would change the token's meaning in CEL: `10k`, `1u`, `b"…"`."""
    behind = source[end : end + 1]
    start = end - len(text)
    if kind == "number" and (behind.isalnum() or behind == "_"):
        raise error_at(
            source, start, f'unexpected "{behind}" behind {text}: numbers in conditions have no units (10k is 10000)'
        )
    if kind == "name" and behind and behind in "\"'":
        raise error_at(
            source, start, f"unexpected {text} before a quotation mark: strings are written {behind}…{behind}"
        )


def _refuse_escapes(source: str, literal: str, start: int) -> None:
    """Refuse an escape that CEL does not know; most often a regular expression for `matches` that is not raw."""
    if literal[0] in "rR":
        return
    for escape in _ESCAPE.finditer(literal):
        if not _KNOWN_ESCAPE.match(escape.group()):
            raise error_at(
                source,
                start + escape.start(),
                f'unknown escape {escape.group()[:2]}: write r"…" for a string in which a backslash is a backslash',
            )


def _unexpected_text(character: str) -> str:
    if character in "\"'":
        return "a string that begins here has no closing quotation mark"
    return _HINTS.get(character, f'unexpected "{character}"')
