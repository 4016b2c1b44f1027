"""`observe`: the log."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.config.definitions import Schema, mapping
from gateway.config.section import ReadContext, SchemaContext, Section


@dataclass(frozen=True, slots=True)
class LogSpec:
    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"

    def format_on(self, fd: int) -> Literal["json", "text"]:
        """Return the format of lines on a file descriptor: `auto` is text on a terminal, JSON elsewhere."""
        if self.format == "auto":
            return "text" if os.isatty(fd) else "json"
        return self.format


def _schema(context: SchemaContext) -> Schema:
    log = mapping(
        {
            "format": {
                "enum": ["auto", "json", "text"],
                "default": "auto",
                "description": "Format of a line; `auto`: text on a terminal, JSON elsewhere.",
            },
            "level": {
                "enum": ["debug", "info", "warning", "error"],
                "default": "info",
                "description": "The lowest level that is logged.",
            },
        },
        "The log on standard error.",
    )
    return mapping({"log": log}, "Logging.")


def _read(context: ReadContext) -> Mapping[str, Any]:
    return {"log": LogSpec(**context.values.get("observe", {}).get("log", {}))}


OBSERVE: Final = Section(key="observe", schema=_schema, read=_read)
