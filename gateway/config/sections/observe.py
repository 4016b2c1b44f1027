"""`observe`: the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.config.definitions import Schema, mapping
from gateway.config.section import ReadContext, SchemaContext, Section


@dataclass(frozen=True, slots=True)
class LogSpec:
    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


def _schema(context: SchemaContext) -> Schema:
    log = mapping(
        {
            "format": {"enum": ["json", "text"], "default": "json", "description": "How lines look."},
            "level": {
                "enum": ["debug", "info", "warning", "error"],
                "default": "info",
                "description": "The least that is told.",
            },
        },
        "The log on standard error.",
    )
    return mapping({"log": log}, "What is told to the world.")


def _read(context: ReadContext) -> Mapping[str, Any]:
    return {"log": LogSpec(**context.values.get("observe", {}).get("log", {}))}


OBSERVE: Final = Section(key="observe", schema=_schema, read=_read)
