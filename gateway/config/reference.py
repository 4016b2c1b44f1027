"""The reference of all settings as Markdown, made from the JSON Schema; `make docs` puts it into docs/configuration.md."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.config.definitions import Schema
from gateway.config.messages import types_of
from gateway.config.read import resolve
from gateway.config.schema import build_schema
from gateway.config.settings import SETTINGS
from gateway.config.unavailable import KEYS, VALUES
from gateway.core.kinds import ProviderKind

_SHARED: Final = frozenset(setting.key for setting in SETTINGS if "defaults" in setting.levels)


_SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "positive_duration": "duration > 0",
        "clock": "duration > 0 or `none`",
        "workers": "whole number 1–64 or `auto`",
        "price": "USD per 1M tokens",
        "key_hash": "`sha256:` and 64 hex digits",
        "secret": "key",
        "url": "URL",
        "proxy": "URL or `none`",
        "mode": "permissions",
        "owner": "user, group or both",
        "pattern": "name or pattern",
        "model_name": "name",
        "path_pattern": "path or pattern",
        "max_inflight": "count or `none`",
        "hash_by": "`conversation`, `tenant` or `header:NAME`",
    }
)
"""What definitions take in a few words; the others are called by their names."""


def fill_in(page: str, kinds: Mapping[str, ProviderKind]) -> str:
    """Return a page with the text between each pair of markers made anew.

    A pair is `<!-- generated: settings -->` (or `unavailable`) and `<!-- end of generated -->`, each on a line of its own.
    """
    blocks = {"settings": settings_table(kinds), "unavailable": unavailable_list()}
    for name, text in blocks.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end of generated -->"
        before, marker, rest = page.partition(begin)
        _, end_marker, after = rest.partition(end)
        if not marker or not end_marker:
            raise ValueError(f"the page has no place for the generated text: {begin.strip()} … {end}")
        page = before + begin + text + end + after
    return page


def settings_table(kinds: Mapping[str, ProviderKind]) -> str:
    """Return a table with a row for each setting, in the order of the schema."""
    rows = ["| setting | takes | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join((*rows, *_Table(kinds).rows())) + "\n"


def unavailable_list() -> str:
    """Return the settings and values that are refused as not available yet."""
    keys = ", ".join(f"`{_shown(path)}`" for path in KEYS)
    values = ", ".join(f"{what} (`{_shown(path)}`)" for path, _, what in VALUES)
    return f"{keys};\nof values: {values}.\n" if values else f"{keys}.\n"


def _shown(path: str) -> str:
    """Return a path of `unavailable.py` as the table writes it: `routes[].limits`, `tenants.NAME.limits`."""
    return re.sub(r"^(routes|checks)\.\*", r"\1[]", path).replace("*", "NAME")


class _Table:
    """Walks the schema. A mapping that several settings share is described in full once; a setting of several levels under
    `defaults`."""

    def __init__(self, kinds: Mapping[str, ProviderKind]) -> None:
        self._kinds = dict(sorted(kinds.items()))
        self._schema = build_schema(kinds)
        self._definitions: Schema = self._schema["$defs"]
        self._described: set[str] = set()

    def rows(self) -> Iterator[str]:
        return self._below(self._schema, "")

    def _below(self, schema: Any, path: str) -> Iterator[str]:
        """Yield the rows of what stands in a mapping, in one with free names, or in a list."""
        definition, found = resolve(schema, self._definitions)
        if definition and definition in self._described:
            return
        if definition:
            self._described.add(definition)
        if "items" in found:  # what may stand in the place of a list is as in the list
            yield from self._below(found["items"], f"{path}[]")
            return
        for key, inner in found.get("properties", {}).items():
            yield from self._setting(f"{path}.{key}" if path else key, key, inner, key in found.get("required", ()))
        if isinstance(found.get("additionalProperties"), dict):
            yield from self._below(found["additionalProperties"], f"{path}.NAME")

    def _setting(self, path: str, key: str, schema: Any, is_required: bool) -> Iterator[str]:
        of_kind = schema is True
        if of_kind:
            schema, about = self._of_kinds(key)
        else:
            about = schema["description"]
        _, found = resolve(schema, self._definitions)
        default = "required" if is_required else _default(found.get("default"))
        yield f"| `{path}` | {self._takes(schema)} | {default} | {about} |"
        is_elsewhere = key in _SHARED and path != f"defaults.{key}"
        is_of_models = any(key in kind.model_settings for kind in self._kinds.values())
        if not (of_kind or is_elsewhere or is_of_models):
            yield from self._below(schema, path)

    def _of_kinds(self, key: str) -> tuple[Any, str]:
        """Return the schema of a setting that some kinds of provider have, and what it means for each of them."""
        schemas = {name: kind.settings[key] for name, kind in self._kinds.items() if key in kind.settings}
        about = ". ".join(f"Kind `{name}`: {schema['description'].rstrip('.')}" for name, schema in schemas.items())
        return dict(next(iter(schemas.values()))), f"{about}."

    def _takes(self, schema: Any) -> str:
        definition, found = resolve(schema, self._definitions)
        types = types_of(found)
        if "items" in found:
            of = self._takes(found["items"])
            return f"list of {of}, or one" if "string" in types else f"list of {of}"
        if "enum" in found:
            return ", ".join(f"`{word}`" for word in found["enum"])
        if "const" in found:
            return f"`{str(found['const']).lower()}`"
        if found.get("pattern") == "^none$":
            return "mapping, or `none`"
        if definition and types != ("boolean",):
            return _SHORT.get(definition, definition)
        if "title" in found:
            return re.sub(r"^(?:an?|the) ", "", found["title"])
        if types == ("object",):
            return "mapping"
        if types == ("boolean",):
            return "`true`, `false`"
        if types == ("integer",) and "maximum" in found:
            return f"whole number {found['minimum']}–{found['maximum']}"
        return {"integer": "whole number", "number": "number"}.get(types[0] if types else "", "text")


def _default(value: Any) -> str:
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "–" if value is None or value == "" else f"`{value}`"
