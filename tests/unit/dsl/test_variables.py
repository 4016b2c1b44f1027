"""The table of variables agrees with itself and with what is read."""

import pytest

from gateway.core.chat import ChatRequest
from gateway.dsl.compile import check_condition
from gateway.dsl.functions import FUNCTIONS, Function
from gateway.dsl.variables import MAX_TEXT, VARIABLES, Facts, Variable, text

SILENT = Facts(ChatRequest(b"", "", ""), {}, "", {}, 0.0)
TYPES = {"bool": bool, "int": int, "double": float, "string": str}
READ = [variable for variable in VARIABLES.values() if variable.read is not None]


@pytest.mark.parametrize("variable", READ, ids=lambda variable: variable.name)
def test_variable_reads_its_own_type(variable: Variable) -> None:
    assert variable.read is not None
    assert type(variable.read(SILENT)) is TYPES[variable.type]


@pytest.mark.parametrize(
    "variable", [variable for variable in READ if variable.name != "now.weekday"], ids=lambda variable: variable.name
)
def test_default_is_what_a_silent_client_gives(variable: Variable) -> None:
    assert variable.read is not None
    assert variable.read(SILENT) == variable.default


@pytest.mark.parametrize("variable", READ, ids=lambda variable: variable.name)
def test_every_variable_can_be_compiled(variable: Variable) -> None:
    literal = {"bool": "true", "int": "1", "double": "1.5", "string": '"a"'}[variable.type]
    check_condition(f"{variable.name} == {literal}", {})


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: f"{function.kind}-{function.name}")
def test_every_function_compiles_as_its_usage_says(function: Function) -> None:
    assert f"{function.name}(" in function.usage
    check_condition(function.usage, {})


def test_text_is_bounded_and_valid() -> None:
    assert text("a" * 5000) == "a" * MAX_TEXT
    assert text("a\ud800b") == "a?b"
    assert text("é") == "é"
