"""Generate a value that fits a JSON Schema, for requests that ask for structured output."""

from collections.abc import Mapping
from typing import Any, Final

MAX_DEPTH: Final = 12


def example_for(schema: Mapping[str, Any]) -> Any:
    """Return the simplest fitting value: every property, one item in a list, the first of several choices."""
    if not schema:
        return {"words": "lorem café"}
    return _value(schema, schema, 0)


def _value(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    if isinstance(schema.get("$ref"), str):
        return _value(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    for choice in ("enum", "anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            first = schema[choice][0]
            return first if choice == "enum" else _value(first, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _typed(kind[0] if isinstance(kind, list) else kind, schema, root, depth)


def _typed(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    match kind:
        case "object":
            return {name: _value(one, root, depth + 1) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema.get("items", {}), root, depth + 1)] * max(1, schema.get("minItems", 1))
        case "string":
            return "lorem".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 1000)]
        case "integer" | "number":
            return schema.get("minimum", 7)
        case "boolean":
            return True
        case _:
            return None


def _resolve(pointer: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for step in pointer.removeprefix("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found
