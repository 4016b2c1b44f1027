"""`state`: what is kept between requests."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config.definitions import Schema, mapping
from gateway.config.files import absolute
from gateway.config.section import ReadContext, SchemaContext, Section


def _schema(context: SchemaContext) -> Schema:
    return mapping(
        {
            "store": {"enum": ["memory"], "default": "memory", "description": "Where limits and budgets live."},
            "dir": {
                "type": "string",
                "minLength": 1,
                "default": ".gateway",
                "description": "Where files are kept; relative to this file.",
            },
        },
        "What is kept between requests. Static: a change needs a restart.",
    )


def _read(context: ReadContext) -> Mapping[str, Any]:
    given = context.values.get("state", {})
    return {"state_dir": str(absolute(context.directory / given.get("dir", ".gateway")))}


STATE: Final = Section(key="state", schema=_schema, read=_read, static={"state": lambda spec: spec.state_dir})
