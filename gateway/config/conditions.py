"""Conditions judged by the rooms below, their errors put at the right line and column of the file."""

import re

from gateway.config.messages import path_text
from gateway.config.nodes import Scalar, Trail, place_at
from gateway.config.read import BROKEN, Reader
from gateway.core.problem import Place, Problem
from gateway.dsl.compile import ConditionError, Conditions


def check_conditions(reader: Reader, lets: dict[str, object], whens: list[tuple[Trail, str]]) -> None:
    """Type-check every named condition and every `when`."""
    # A let that is broken as YAML keeps its name, so that conditions that use it are not blamed.
    sources = {name: source if isinstance(source, str) else "true" for name, source in lets.items()}
    conditions = Conditions(sources)
    for name, error in conditions.let_errors:
        if lets[name] is not BROKEN:
            _complain(reader, ("let", name), error)
    for trail, source in whens:
        try:
            conditions.check(source)
        except ConditionError as error:
            _complain(reader, trail, error)


def place_in(scalar: Scalar, line: int, column: int) -> Place:
    """Give the place in the file of a line and column of a scalar's text, however it is quoted or folded."""
    lines = scalar.text.split("\n")
    offset = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
    written = scalar.source[scalar.start : scalar.end]
    at = _begin(written)
    for index in range(min(offset, len(scalar.text))):
        at = _after(written, at, scalar.text, index)
    return place_at(scalar.source, scalar.start + min(at, len(written)), scalar.place.file)


def _complain(reader: Reader, trail: Trail, error: ConditionError) -> None:
    scalar = reader.scalar(trail)
    if scalar is None or trail in reader.problems:
        return
    place = place_in(scalar, error.line, error.column)
    reader.problems[trail] = Problem(place, path_text(trail), error.message)


def _begin(written: str) -> int:
    """Give where the text begins behind an opening quote, or behind the line of `|` or `>` and the indentation."""
    if written[:1] in ("|", ">"):
        header = re.match(r"[^\r\n]*(?:\r\n|\r|\n)[\s]*", written)
        return header.end() if header else len(written)
    return 1 if written[:1] in ('"', "'") else 0


def _after(written: str, at: int, text: str, index: int) -> int:
    """Give where the writing goes on behind the sign `text[index]`, which is written at `at`."""
    quote = written[:1]
    if quote == '"' and written[at : at + 1] == "\\":
        return at + {"x": 4, "u": 6, "U": 10}.get(written[at + 1 : at + 2], 2)
    if quote == "'" and written[at : at + 2] == "''":
        return at + 2
    blank = re.compile(r"[ \t]*(?:\r\n|\r|\n)\s*").match(written, at)
    if text[index] in " \n" and blank is not None:  # a line break, and the indentation of the next line
        following = text[index + 1 :]
        return max(at + 1, blank.end() - (len(following) - len(following.lstrip())))
    return at + 1
