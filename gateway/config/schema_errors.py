"""Errors of JSON Schema, worded for the file's author and placed at line and column."""

from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

from gateway.config import synonyms
from gateway.config.definitions import Schema
from gateway.config.messages import did_you_mean, one_of, such_as, types_of, wanted_of
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.secrets import hide_keys
from gateway.config.section import Section
from gateway.config.spec import SECTIONS
from gateway.config.unavailable import refused_key, refused_value
from gateway.core.kinds import ProviderKind

_SECTIONS: Final[Mapping[str | int, Section]] = {section.key: section for section in SECTIONS}


def check_schema(reader: Reader, schema: Schema, kinds: Mapping[str, ProviderKind]) -> None:
    """Note in `reader` everything in its plain tree that the schema does not allow."""
    for error in Draft202012Validator(schema).iter_errors(reader.plain):
        _explain(error, reader, kinds)


def _explain(error: Any, reader: Reader, kinds: Mapping[str, ProviderKind]) -> None:
    trail: Trail = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        message = f"must be {error.schema['title']}{such_as(error.schema)}"
        reader.complain((*trail, str(error.instance)), message, at_key=True)
    elif error.validator == "additionalProperties":
        known = [key for key, schema in error.schema["properties"].items() if schema is not True]
        for key in error.instance:
            if key not in error.schema["properties"]:
                message = refused_key((*trail, key)) or _unknown_key((*trail, key), known)
                reader.complain((*trail, key), message, at_key=True)
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                reader.complain((*trail, key), f"is missing{_hint(error.schema, key)}")
    elif error.validator == "not":  # a key that the section takes only beside others
        refusal = _SECTIONS[trail[0]].refusal
        assert refusal is not None  # a section whose schema has a `not` words it
        reader.complain(trail, refusal(trail, reader.plain, kinds), at_key=True)
    else:
        message = refused_value(trail, error.instance) or _value(error, reader, trail)
        if hint := _kind_hint(trail, error.instance, kinds):
            message = message.partition("; did you mean")[0] + hint
        reader.complain(trail, message)


def _unknown_key(trail: Trail, known: list[str]) -> str:
    """Word an unknown key: a space that is missing after its colon, its name here, or a similar word."""
    key = str(trail[-1])
    before, colon, value = key.partition(":")
    if colon and before in known:
        return f"a space is missing after the colon: {before}: {hide_keys(value)}".rstrip()
    return f"unknown key{synonyms.for_key(trail, known) or did_you_mean(hide_keys(key), known)}"


def _kind_hint(trail: Trail, kind: Any, kinds: Mapping[str, ProviderKind]) -> str:
    """Return how to write a server that is no kind of its own, as in `; give kind: openai with its url, …`."""
    if len(trail) != 3 or (trail[0], trail[2]) != ("providers", "kind"):
        return ""
    for one in kinds.values():
        if (url := one.others.get(str(kind).lower())) is not None:
            return f"; give kind: {one.name} with its url: {url}"
    return ""


def _hint(schema: Schema, key: str) -> str:
    inner = schema.get("properties", {}).get(key, {})
    if "enum" in inner:
        return f"; give {one_of(inner['enum'])}"
    wanted = inner.get("description", "")
    return f" ({wanted[0].lower()}{wanted[1:].rstrip('.')})" if wanted else ""


def _value(error: Any, reader: Reader, trail: Trail) -> str:
    """Word an error about one value, by keyword."""
    got = reader.got(trail)
    wanted = error.validator_value
    match error.validator:
        case "type":
            if isinstance(error.instance, list):
                return _not_a_list(error, reader, trail)
            return f"{wanted_of(error.schema)}{got}"
        case "enum":
            known = one_of(wanted)
            hint = synonyms.for_value(trail, str(error.instance)) or did_you_mean(str(error.instance), wanted)
            return f"must be {known}{got}{hint if 'did you mean' in hint else ''}"
        case "const":
            return f"must be {str(wanted).lower() if isinstance(wanted, bool) else wanted}{got}"
        case "pattern" | "minLength" | "maxLength":
            if error.validator == "maxLength":
                return f"must be at most {wanted} characters long"
            if "title" in error.schema:
                return f"must be {error.schema['title']}{such_as(error.schema)}{got}"
            return f"must not be empty{got}" if error.validator == "minLength" else f"does not fit {wanted}{got}"
        case "minimum":
            return f"must be at least {wanted}{got}"
        case "maximum":
            return f"must be at most {wanted}{got}"
        case "minItems" | "minProperties":
            is_optional = len(trail) == 1 and not _SECTIONS[trail[0]].is_required
            return "must not be empty; " + ("remove it" if is_optional else "give at least one")
        case "maxItems":
            return f"must have at most {wanted} items"
        case "uniqueItems":
            twice = next(index for index, item in enumerate(error.instance) if item in error.instance[:index])
            return f"lists {reader.shown((*trail, twice)) or 'one thing'} twice"
    return "is not what the schema allows"


def _not_a_list(error: Any, reader: Reader, trail: Trail) -> str:
    """Word a list where one value is wanted: with the line to write, where the list has one item."""
    if not isinstance(trail[-1], str) or "string" not in types_of(error.schema):
        return wanted_of(error.schema)
    if len(error.instance) == 1 and (only := reader.scalar((*trail, 0))) is not None:
        return f"must be one value, not a list: {trail[-1]}: {hide_keys(only.text)}"
    chain = "; pools that follow each other have a `then` each" if trail[-1] == "then" else ""
    return f"must be one value, not a list{chain}"
