"""The JSON Schema (2020-12) of gateway.yaml, put together from the sections: what editors complete by and the loader checks by."""

import json
from collections.abc import Mapping
from typing import get_args

from gateway.config.definitions import Schema, definitions, mapping
from gateway.config.levels import Level
from gateway.config.section import SchemaContext
from gateway.config.settings import setting_definitions, settings_at
from gateway.config.spec import INCLUDABLE, SECTIONS
from gateway.core.kinds import ProviderKind


def build_schema(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Return the whole schema for a gateway that knows these provider kinds, whatever their order."""
    context = SchemaContext(
        kinds=dict(sorted(kinds.items())),
        at_level={level: properties_at(level) for level in get_args(Level)},
        includable=INCLUDABLE,
    )
    sections = {section.key: section.schema(context) for section in SECTIONS}
    own = {name: schema for section in SECTIONS for name, schema in section.definitions(context).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml",
        "description": "Configuration of the LLM gateway.",
        **mapping(sections, required=tuple(section.key for section in SECTIONS if section.is_required)),
        "$defs": {**definitions(), **own, **setting_definitions()},
    }


def properties_at(level: Level) -> Schema:
    """Return the keys that settings and other sections put at a level."""
    own = {section.key: section.at_levels[level] for section in SECTIONS if level in section.at_levels}
    return {**settings_at(level), **own}


def schema_text(kinds: Mapping[str, ProviderKind]) -> str:
    """Return the schema as the text of its file."""
    return json.dumps(build_schema(kinds), indent=2, ensure_ascii=False) + "\n"
