"""What a part of the language consists of: `Section` (a top-level key) and `Setting` (a key that may stand at several levels).

A section is one file or package in `sections/`, listed in `spec.py`; a setting is one file in `settings/`,
listed in `settings/__init__.py`. Schema, reading and checking are loops over these two lists.

Add a section `limits` that tenants and routes may have too: write `sections/limits.py` with its schema, dataclass, reader
and checks; add it to the list and its field to `Spec`, both in `spec.py`. `at_levels={"tenant": …, "route": …}` puts its key into the schema of tenants
and routes, and `ReadContext.at_level("tenant", "limits")` returns what they hold.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.definitions import Schema
from gateway.config.levels import Level, standing_at
from gateway.config.names import Names
from gateway.config.nodes import Node, Trail
from gateway.config.read import Reader
from gateway.core.kinds import ProviderKind

Kinds = Mapping[str, ProviderKind]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchemaContext:
    """What a section's schema depends on. `at_level`: the properties that settings and other sections put at each level."""

    kinds: Kinds
    at_level: Mapping[Level, Schema]
    includable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadContext:
    """A file that was found right. Relative paths in it are taken from `directory`."""

    values: Values
    root: Node
    directory: Path
    kinds: Kinds

    def at_level(self, level: Level, key: str) -> Iterator[tuple[Trail, Any]]:
        """Yield what stands under `key` at a level, with the trail of the thing that has it, as in `("tenants", "acme")`."""
        for trail, settings in standing_at(self.values, level):
            if key in settings:
                yield trail, settings[key]


@dataclass(frozen=True, slots=True)
class FilesContext:
    """What naming further files depends on; relative paths are taken from `directory`."""

    directory: Path
    kinds: Kinds
    env: Mapping[str, str]


Check = Callable[[Reader, Names], None]
"""A semantic check: puts what does not fit together into the reader. Any value may be broken; broken ones are passed over."""


@dataclass(frozen=True, slots=True)
class Section:
    """A top-level key of gateway.yaml.

    `read` returns fields of `Spec`. `checks` run after those of earlier sections. `files` reads the files that the section
    names, puts their content in the place of their paths, and returns them. `refusal` words the error for a key that the
    schema refuses with `not`. `static` maps the name of each setting that needs a restart to a getter of its value in a `Spec`.
    """

    key: str
    schema: Callable[[SchemaContext], Schema]
    read: Callable[[ReadContext], Mapping[str, Any]] = lambda context: {}
    checks: tuple[Check, ...] = ()
    definitions: Callable[[SchemaContext], Schema] = lambda context: {}
    at_levels: Mapping[Level, Schema] = field(default_factory=dict)
    files: Callable[[Reader, FilesContext], dict[Path, bytes]] = lambda reader, context: {}
    refusal: Callable[[Trail, Any, Kinds], str] | None = None
    static: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)
    is_required: bool = False
    is_includable: bool = False  # an included file may hold it: everything in it has a name


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that may stand at several levels; `resilience.policies` merges them field by field.

    `schema` is its entry in `$defs`. A setting with a `spec` is a mapping of that dataclass' fields, or `none`. `default` is
    shown in the schema at the first of its levels.
    """

    key: str
    about: str
    schema: Schema
    levels: tuple[Level, ...] = ()
    spec: type[Any] | None = None
    default: Any = None
    checks: tuple[Check, ...] = ()

    def read(self, value: Any) -> Any:
        """Return the value under the names of its dataclass' fields; None for a mapping's `none`."""
        if self.spec is None:
            return value
        return None if value == "none" else with_seconds(value, self.spec)


def with_seconds(given: Values, spec: type[Any]) -> dict[str, Any]:
    """Rename keys to fields of `spec`, in which durations end in `_s`: `every` becomes `every_s`."""
    fields = spec.__dataclass_fields__
    return {key if key in fields else f"{key}_s": value for key, value in given.items()}
