"""Values that fit a schema."""

from typing import Any

import jsonschema
import pytest

from gateway.simulator.schema_example import example_for

SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"a": {"type": "string", "minLength": 9}, "b": {"type": "number", "minimum": 12}}},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    {"type": "array", "items": {"$ref": "#/$defs/one"}, "$defs": {"one": {"const": 4}}},
    {"enum": ["x", "y"]},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"allOf": [{"type": "string", "maxLength": 2}]},
    {"type": ["integer", "null"]},
    {"properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_fits(schema: Any) -> None:
    jsonschema.validate(example_for(schema), schema)


def test_no_schema_is_any_object() -> None:
    assert isinstance(example_for({}), dict)


def test_a_schema_that_holds_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert "next" in example_for(node)
    assert example_for({"type": "object", "properties": {"a": {"$ref": "#/nowhere/x"}, "b": True}}) == {
        "a": None,
        "b": None,
    }
