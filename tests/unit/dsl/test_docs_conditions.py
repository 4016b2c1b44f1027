"""docs/conditions.md names every variable and function, no others, and its examples compile."""

import re
from pathlib import Path

import pytest
import yaml

import gateway
from gateway.dsl.compile import ConditionError, check_condition, check_lets
from gateway.dsl.expand import MAX_EXPANDED, MAX_SOURCE
from gateway.dsl.functions import FUNCTIONS
from gateway.dsl.variables import MAX_TEXT, SECRET_HEADERS, VARIABLES

PAGE = (Path(gateway.__file__).resolve().parent.parent / "docs" / "conditions.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without the table's header."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


EXAMPLES = [row[4] for row in rows("Variables")] + [row[2] for row in rows("Operators") + rows("Functions")]
INLINE = re.findall(r"`((?:headers|request|now)[.\[][^`…]*[<>=/*][^`]*)`", PAGE)


@pytest.mark.parametrize("example", [example.strip("`") for example in EXAMPLES] + INLINE)
def test_example_compiles(example: str) -> None:
    check_condition(example, {})


def test_there_are_examples_in_the_text_too() -> None:
    assert len(INLINE) > 20


def test_every_variable_is_documented_as_it_is() -> None:
    types = {
        "bool": "true or false",
        "int": "whole number",
        "double": "decimal number",
        "string": "string",
        "map": "strings by name",
    }
    documented = [(row[0].strip("`"), row[1], row[3]) for row in rows("Variables")]
    assert documented == [(v.name, types[v.type], v.doc) for v in VARIABLES.values() if v.phase == "match"]
    assert all(name in example for name, example in zip([name for name, _, _ in documented], EXAMPLES, strict=False))


def test_every_function_is_documented_as_it_is() -> None:
    documented = [(row[0].strip("`.()"), row[1], row[2].strip("`")) for row in rows("Functions")]
    assert documented == [(function.name, function.doc, function.usage) for function in FUNCTIONS]


def test_limits_are_those_of_the_code() -> None:
    limits = {row[0]: row[1] for row in rows("Limits")}
    assert limits["characters of a condition"] == str(MAX_SOURCE)
    assert limits["characters with its lets inserted"] == str(MAX_EXPANDED)
    assert limits["characters seen of a client's string"] == str(MAX_TEXT)
    check_condition("(" * 32 + "true" + ")" * 32, {})
    with pytest.raises(ConditionError):
        check_condition("(" * 33 + "true" + ")" * 33, {})


def test_hidden_headers_are_named() -> None:
    assert all(f"`{name}`" in PAGE for name in SECRET_HEADERS)


def test_yaml_example_is_a_sound_configuration() -> None:
    example = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
    assert check_lets(example["let"]) == []
    check_condition(example["routes"][0]["when"], example["let"])


def test_error_texts_are_the_real_ones() -> None:
    for line, source in zip(
        PAGE.split("```text\n")[1].split("```")[0].splitlines(),
        ['request.modle == "a"', "request.model > 3"],
        strict=True,
    ):
        with pytest.raises(ConditionError) as caught:
            check_condition(source, {})
        assert str(caught.value) == line
