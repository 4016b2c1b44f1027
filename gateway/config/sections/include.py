"""`version` and `include`: what a file says about itself. `sources.py` takes the included files before anything is read."""

from typing import Final

from gateway.config.definitions import Schema
from gateway.config.section import SchemaContext, Section


def _include(context: SchemaContext) -> Schema:
    return {
        "type": ["array", "string"],
        "items": {"type": "string"},
        "uniqueItems": True,
        "examples": [["builtin:prices", "tenants.yaml"]],
        "description": "Files taken as part of this one, paths relative to it; `builtin:prices` brings prices and "
        "context windows of known models. An included file may hold " + ", ".join(context.includable[1:]) + ".",
    }


VERSION: Final = Section(
    key="version",
    schema=lambda context: {
        "type": "integer",
        "const": 1,
        "default": 1,
        "description": "The version of this language.",
    },
    is_includable=True,
)
INCLUDE: Final = Section(key="include", schema=_include, is_includable=True)
