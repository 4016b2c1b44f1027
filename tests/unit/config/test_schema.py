"""The JSON Schema: complete, sound, and the one that is shipped."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.config.schema import build_schema, schema_text
from gateway.core.kinds import ProviderKind
from gateway.providers import provider_kinds

ROOT = Path(__file__).parents[3]


def inner_schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every schema of a value, with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key, one in schema.get("properties", {}).items():
        yield from inner_schemas(one, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        yield from inner_schemas(schema.get(key), f"{path}.*")
    for key, one in schema.get("$defs", {}).items():
        yield from inner_schemas(one, f"{path}.$defs.{key}")


def test_it_is_a_sound_schema() -> None:
    Draft202012Validator.check_schema(build_schema(provider_kinds()))


@pytest.mark.parametrize("copy", ["config/gateway.schema.json", "gateway/config/gateway.schema.json"])
def test_the_shipped_copies_are_what_the_command_prints(copy: str) -> None:
    assert (ROOT / copy).read_text() == schema_text(provider_kinds())


def test_the_order_in_which_kinds_were_registered_does_not_show() -> None:
    kinds = provider_kinds()
    assert schema_text(dict(reversed(kinds.items()))) == schema_text(kinds)


def test_every_setting_has_help() -> None:
    silent = [
        f"{path}.{key}"
        for path, schema in inner_schemas(build_schema(provider_kinds()))
        for key, one in schema.get("properties", {}).items()
        if isinstance(one, dict) and "description" not in one
    ]
    assert silent == []


def test_every_mapping_says_which_keys_it_takes() -> None:
    loose = [
        path
        for path, schema in inner_schemas(build_schema(provider_kinds()))
        if "object" in schema.get("type", ()) and "additionalProperties" not in schema
    ]
    assert loose == []


def test_every_example_and_default_fits_its_schema() -> None:
    root = build_schema(provider_kinds())
    for path, schema in inner_schemas(root):
        for value in [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else [])]:
            judge = Draft202012Validator({**schema, "$defs": root["$defs"]})
            assert judge.is_valid(value), (path, value)


@pytest.mark.parametrize(
    "file", ["gateway.yaml", *(str(p.relative_to(ROOT)) for p in ROOT.glob("config/examples/*.yaml"))]
)
def test_editors_find_the_shipped_files_right(file: str) -> None:
    schema = json.loads((ROOT / "config/gateway.schema.json").read_text())
    document = yaml.safe_load((ROOT / file).read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []


def test_a_kind_brings_its_settings_with_it() -> None:
    kind = ProviderKind(
        "odd", "an odd one", {"shade": {"enum": ["red"]}}, {"hue": {"type": "integer", "description": "x"}}
    )
    judge = Draft202012Validator(build_schema({"odd": kind, "even": ProviderKind("even", "x", default_url="http://x")}))

    def faults(provider: dict[str, Any]) -> list[str]:
        document = {
            "providers": {"p": provider},
            "models": {"m": {"provider": "p", "hue": 1}},
            "routes": [{"name": "r", "match": ["a"], "to": "m"}],
        }
        return [str(error.validator) for error in judge.iter_errors(document)]

    assert faults({"kind": "odd", "url": "http://x", "shade": "red"}) == []
    assert faults({"kind": "odd", "url": "http://x", "shade": "blue"}) == ["enum"]
    assert faults({"kind": "odd"}) == ["required"]  # no URL to fall back on
    assert faults({"kind": "odd", "urls": ["http://x", "http://y"]}) == []
    assert faults({"kind": "even", "shade": "red"}) == ["not"]


def test_two_kinds_that_disagree_on_a_model_setting_are_a_mistake() -> None:
    one = ProviderKind("one", "x", model_settings={"hue": {"type": "integer"}})
    other = ProviderKind("other", "x", model_settings={"hue": {"type": "string"}})
    with pytest.raises(ValueError, match="another kind has a different model setting 'hue'"):
        build_schema({"one": one, "other": other})
