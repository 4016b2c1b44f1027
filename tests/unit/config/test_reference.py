"""The page on the configuration says what the schema says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.read import resolve
from gateway.config.reference import fill_in
from gateway.config.schema import build_schema
from gateway.config.unavailable import KEYS
from gateway.providers import provider_kinds
from tests.unit.config.conftest import Files

PAGE = (Path(__file__).parents[3] / "docs/configuration.md").read_text()
POLICIES = ("timeout", "breaker", "keepalive", "retry", "batch", "hedge", "queue")


def settings() -> dict[str, str]:
    """Give every setting as the page writes it, with its default as text."""
    kinds = provider_kinds()
    schema = build_schema(kinds)
    own = {name: setting for kind in kinds.values() for name, setting in kind.settings.items()}

    def walk(given: Any, path: str) -> Iterator[tuple[str, str]]:
        _, found = resolve(given, schema["$defs"])
        for key, inner in found.get("properties", {}).items():
            at = f"{path}.{key}" if path else key
            inner = own[key] if inner is True else inner
            default = inner.get("default", "")
            shown = f"[{', '.join(default)}]" if isinstance(default, list) else str(default) or "–"
            yield (
                at,
                "required"
                if key in found.get("required", ())
                else shown.lower()
                if shown in ("True", "False")
                else shown,
            )
            if key == "simulate" or (key in POLICIES and path != "defaults") or at == "server.admin.listen":
                continue  # described elsewhere
            _, below = resolve(inner, schema["$defs"])
            if "items" not in below:  # else what stands alone is as in the list
                yield from walk(inner, at)
            yield from walk(below.get("additionalProperties"), f"{at}.NAME")
            yield from walk(below.get("items"), f"{at}[]")

    return dict(walk(schema, ""))


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| .*? \| (required|–|`[^`]*`) \| \S", PAGE, re.MULTILINE)
    assert {path: default.strip("`") for path, default in rows} == settings()


def test_the_page_holds_what_make_docs_writes() -> None:
    assert fill_in(PAGE, provider_kinds()) == PAGE


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the generated text"):
        fill_in("# Configuration", provider_kinds())


def test_everything_that_is_not_available_yet_is_listed() -> None:
    written = {
        path.replace("routes.*", "routes[]").replace("checks.*", "checks[]").replace("*", "NAME") for path in KEYS
    }
    section = PAGE.partition("## Not available yet")[2].partition("of values")[0]
    assert set(re.findall(r"`([^`]+)`", section)) == written


def test_the_example_loads(files: Files) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert yaml.safe_load(example[1])["version"] == 1
    assert files.errors(example[1], {}) == []


def test_the_example_of_pools_loads_beside_the_models_that_it_names(files: Files) -> None:
    example = re.search(r"### Pools\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    rest = "include: [builtin:prices]\nmodels:\n  gpt-4o: {provider: openai}\n  gpt-4o-mini: {provider: openai}\n"
    rest += "  llama: {provider: vllm, price: {input: 0, output: 0}}\n  spare: {provider: vllm, price: {input: 0, output: 0}}\n"
    rest += "routes: [{name: r, match: [auto], to: chat}]\n"
    assert files.errors(example[1] + rest, {}) == []
    assert [one.message[:8] for one in files.load(example[1] + rest, {}).warnings] == ["provider"]
