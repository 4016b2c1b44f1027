"""The process log: events of the gateway, not of single requests. On stderr, one line per event, secrets redacted.

Messages are constant, variables go into `extra`: `log.warning("provider off", extra={"provider": name})`.
"""

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

Format = Literal["json", "text"]
Level = Literal["debug", "info", "warning", "error"]

# The attributes of every record; all others came through `extra`.
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# No pattern may match across the end of a JSON string, because they are applied to whole lines.
_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[a-z0-9._~+/=-]{4,}"), r"\1\2***"),
    (re.compile(r"\b(sk|pk|rk|gw)([-_])[A-Za-z0-9_-]{6,}"), r"\1\2***"),
    (
        re.compile(
            r"(?i)\b((?:x-)?api[-_]?key|authorization|password)([\\\"'\s]{0,4}[:=][\\\"'\s]{0,4})(?!bearer|basic)[^\\\"'\s,;}]+"
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@\"\\]*:)[^\s/@\"\\]+@"), r"\1***@"),
)


def setup(format: Format = "json", level: Level = "info", stream: TextIO | None = None) -> None:
    """Send the log of the whole process, Python warnings included, to `stream` (default stderr). The latest call wins."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


def redact(text: str) -> str:
    """Replace everything in `text` that looks like a key, a credential or a password in a URL with `***`."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line: time, level, logger, message, the fields of `extra`, and `exception` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`."""
        fields: dict[str, Any] = {
            "time": iso_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= _extra(record)
        if record.exc_info:
            fields["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return redact(msgspec.json.encode(_plain(fields)).decode())


class TextFormatter(logging.Formatter):
    """Formats readable lines: time, level, message, the fields as `name=value`; a traceback follows below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`."""
        fields = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{iso_time(record.created)} {record.levelname:<7} {record.getMessage()}{fields}"
        line = line.replace("\n", "\\n").replace("\r", "\\r")
        if record.exc_info:
            line += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return redact(line)


def iso_time(wall_s: float) -> str:
    """Format seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


def _plain(value: Any) -> Any:
    """Convert `value` to JSON types: invalid Unicode is replaced, objects of other types become their `str`."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
        case _:
            return _plain(str(value))
