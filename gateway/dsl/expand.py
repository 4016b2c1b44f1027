"""From a user's source to the text that CEL compiles: resolve names, insert `lets`, keep positions.

Errors that CEL would report poorly are found here: unknown names, variables that are known only after classification, maps read
by a computed name. The text is one line with a space between tokens, so a column in it is an offset. `origins` maps offsets back
to the source.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.dsl.errors import ConditionError, error_at
from gateway.dsl.functions import GLOBALS, METHODS
from gateway.dsl.names import invalid_name_reason, unknown_name_message
from gateway.dsl.tokens import Token, tokenise
from gateway.dsl.variables import ROOTS, SECRET_HEADERS, TIERS, VARIABLES

MAX_SOURCE = 4096  # characters
MAX_EXPANDED = 16384  # characters, with every let inserted

_HEADER_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")
_MACROS = "exists(), all() or exists_one()"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The literal argument of a `matches`, as it stands in the source, and its offset there."""

    literal: str
    offset: int


@dataclass(frozen=True, slots=True)
class Expanded:
    """An expanded source. `starts[i]`: offset of a piece in `text`; `origins[i]`: offset in `source` that the piece came from."""

    source: str
    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    variables: frozenset[str]
    headers: frozenset[str]
    labels: frozenset[str]
    patterns: tuple[Pattern, ...]
    has_macro: bool

    def error(self, message: str, column: int) -> ConditionError:
        """Return the error for the 0-based `column` of `text`, with its position in the source."""
        if column >= len(self.text):
            return error_at(self.source, len(self.source.rstrip()), message)
        return error_at(self.source, self.origins[max(0, bisect_right(self.starts, column) - 1)], message)


def expand(source: str, lets: Mapping[str, Expanded], later: Collection[str] = ()) -> Expanded:
    """Resolve every name of `source`. Raises ConditionError for the first that cannot be resolved.

    If `source` is a let's, `later` are that let and those below it: a let may only use the lets above it.
    """
    if len(source) > MAX_SOURCE:
        raise ConditionError(f"the condition is too long: {len(source)} characters of at most {MAX_SOURCE}")
    tokens = tokenise(source)
    if not tokens:
        raise ConditionError("the condition is empty: leave it out if it is always to hold")
    return _Expansion(source, tokens, lets, later).run()


@dataclass(slots=True)
class _Expansion:
    source: str
    tokens: list[Token]
    lets: Mapping[str, Expanded]
    later: Collection[str]
    at: int = 0
    pieces: list[tuple[str, int]] = field(default_factory=list)  # text, origin
    variables: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    patterns: list[Pattern] = field(default_factory=list)
    elements: set[str] = field(default_factory=set)  # names of list elements, introduced by macros
    depth: int = 0
    macro_depth: int = 0  # depth of parentheses inside a macro; 0: not in a macro
    has_macro: bool = False

    def run(self) -> Expanded:
        while self.at < len(self.tokens):
            self._step(self.tokens[self.at])
        text = " ".join(piece for piece, _ in self.pieces)
        if len(text) > MAX_EXPANDED:
            raise ConditionError(
                f"the condition is too long with its lets inserted: {len(text)} characters of at most {MAX_EXPANDED}"
            )
        starts, start = [], 0
        for piece, _ in self.pieces:
            starts.append(start)
            start += len(piece) + 1
        return Expanded(
            source=self.source,
            text=text,
            starts=tuple(starts),
            origins=tuple(origin for _, origin in self.pieces),
            variables=frozenset(self.variables),
            headers=frozenset(self.headers),
            labels=frozenset(self.labels),
            patterns=tuple(self.patterns),
            has_macro=self.has_macro,
        )

    def _step(self, token: Token) -> None:
        """Consume the token at `at` and the tokens that belong to it."""
        if token.kind == "name":
            self._name(token)
        elif token.text == "." and self._peek(1).kind == "name":
            self._member(token, self._peek(1))
        else:
            if token.text == "(":
                self.depth += 1
            elif token.text == ")":
                self._close()
            self._emit(token)

    def _close(self) -> None:
        if self.depth == self.macro_depth:
            self.macro_depth = 0
        self.depth -= 1

    def _emit(self, token: Token, text: str = "", count: int = 1) -> None:
        self.pieces.append((text or token.text, token.start))
        self.at += count

    def _peek(self, ahead: int) -> Token:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else Token("operator", "", len(self.source))

    def _error(self, token: Token, message: str) -> ConditionError:
        return error_at(self.source, token.start, message)

    # --- names at the head of a term ---

    def _name(self, token: Token) -> None:
        name = token.text
        if name in ("true", "false", "in", "null") or name in self.elements:
            self._emit(token)
        elif self._peek(1).text == "(":
            self._call(token)
        elif name in ("headers", "labels"):
            self._map(token)
        elif name in self.lets:
            self._let(token)
        elif name in ROOTS:
            self._variable(token)
        elif name in self.later:
            raise self._error(
                token, f'the let "{name}" is not defined above this one: a let can only use those above it'
            )
        elif name in TIERS:
            raise self._error(
                token, f'"{name}" is a tier, which is known only after classification: a condition cannot use it'
            )
        else:
            raise self._error(token, unknown_name_message("variable", name, self._known_names()))

    def _known_names(self) -> list[str]:
        return [
            *(name for name, variable in VARIABLES.items() if variable.phase == "match"),
            *self.lets,
            *self.elements,
        ]

    def _variable(self, token: Token) -> None:
        parts = 1
        name = token.text
        if name not in VARIABLES:
            if self._peek(1).text != "." or self._peek(2).kind != "name":
                members = [variable for variable in VARIABLES if variable.startswith(f"{name}.")]
                raise self._error(token, f'"{name}" has no value of its own: read one of {", ".join(members)}')
            parts, name = 3, f"{name}.{self._peek(2).text}"
        variable = VARIABLES.get(name)
        if variable is None:
            raise self._error(token, unknown_name_message("variable", name, self._known_names()))
        if variable.phase == "classified":
            raise self._error(token, f'"{name}" is known only after classification: a condition cannot use it')
        self.variables.add(name)
        self._emit(token, name, parts)

    def _let(self, token: Token) -> None:
        let = self.lets[token.text]
        if let.has_macro and self.macro_depth:
            raise self._error(
                token, f'"{token.text}" iterates over a list itself, which is not possible inside {_MACROS}'
            )
        self.variables |= let.variables
        self.headers |= let.headers
        self.labels |= let.labels
        self.has_macro |= let.has_macro
        self._emit(token, f"( {let.text} )")

    def _map(self, token: Token) -> None:
        """Read `headers["x-team"]` or `headers.team`. The name must be literal, so that an absent header can be passed as ""."""
        kind = token.text
        how = f'{kind}["team"] or {kind}.team'
        first, second, third = self._peek(1), self._peek(2), self._peek(3)
        if first.text == "[" and second.kind == "text" and third.text == "]":
            name, count, place = _unquoted(second.text), 4, second
            if name is None:
                raise self._error(second, f"the name of a {kind[:-1]} is written plainly, without escapes: {how}")
        elif first.text == "." and second.kind == "name" and third.text != "(":
            name, count, place = second.text, 3, second
            if (whole := self._dashed(second)) != name:
                raise self._error(second, f'a name that holds "-" stands in brackets: {kind}["{whole}"]')
        elif self.at > 0 and self.tokens[self.at - 1].text == "in":
            raise self._error(
                token,
                f'"in {kind}" does not work: to ask whether one is there, compare it with "": {kind}["team"] != ""',
            )
        else:
            raise self._error(token, f"{kind} are read one by one, by a literal name: {how}")
        if kind == "headers":
            name = self._header(name, place)
        (self.headers if kind == "headers" else self.labels).add(name)
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        self._emit(token, f'{kind}["{quoted}"]', count)

    def _dashed(self, first: Token) -> str:
        """Return the name that begins with `first` and goes on with dashes and no space between, as `x-team` in `headers.x-team`."""
        found = re.match(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*", self.source[first.start :])
        return found[0] if found else first.text

    def _header(self, name: str, place: Token) -> str:
        name = name.lower()
        if not name or not _HEADER_CHARACTERS.issuperset(name):
            raise self._error(place, f'"{name}" cannot be the name of a header')
        if name in SECRET_HEADERS:
            raise self._error(
                place, f'the header "{name}" holds the client\'s key, which conditions do not see: use tenant or labels'
            )
        return name

    # --- calls ---

    def _call(self, token: Token) -> None:
        name = token.text
        if name == "has":
            raise self._error(
                token, 'has() is not needed: every variable has a value; use request.has_… or compare with ""'
            )
        if name not in GLOBALS:
            if name in METHODS:
                raise self._error(token, f"{name}() is a method of its value: {METHODS[name].usage}")
            raise self._error(token, unknown_name_message("function", name, GLOBALS))
        self._emit(token)

    def _member(self, dot: Token, name: Token) -> None:
        """Read a method or a macro behind a dot. Variables with a dot were consumed as a whole before."""
        if not self.pieces or (
            self.tokens[self.at - 1].kind == "operator" and self.tokens[self.at - 1].text not in ")]"
        ):
            raise self._error(dot, f'unexpected "." before {name.text}')
        if self._peek(2).text != "(":
            raise self._error(name, f'nothing here has a part called "{name.text}"')
        function = METHODS.get(name.text)
        if function is None:
            raise self._error(name, unknown_name_message("function", name.text, METHODS))
        if function.kind == "macro":
            self._macro(name)
        elif name.text == "matches":
            self._pattern(name)
        elif name.text == "split" and self.macro_depth:
            raise self._error(name, f"split() cannot stand inside {_MACROS}")
        self._emit(dot)
        self._emit(name)

    def _macro(self, name: Token) -> None:
        if self.macro_depth:
            raise self._error(name, f"{name.text}() cannot stand inside {_MACROS}")
        element = self._peek(3)
        if element.kind != "name" or self._peek(4).text != ",":
            raise self._error(
                name, f"{name.text}() takes a name for the element and a condition: {METHODS[name.text].usage}"
            )
        if invalid := invalid_name_reason(element.text, self.lets):
            raise self._error(element, invalid)
        self.elements.add(element.text)
        self.macro_depth = self.depth + 1
        self.has_macro = True

    def _pattern(self, name: Token) -> None:
        literal = self._peek(3)
        if literal.kind != "text" or self._peek(4).text != ")":
            raise self._error(name, f"the expression of matches() must be a literal: {METHODS['matches'].usage}")
        self.patterns.append(Pattern(literal.text, literal.start))


def _unquoted(literal: str) -> str | None:
    """Return the text of a plain quoted literal; None if it is raw, has escapes or triple quotes."""
    if literal[0] in "rR" or "\\" in literal or literal[:3] in ('"""', "'''"):
        return None
    return literal[1:-1]
