"""The process log: events of the gateway, not of single requests. On stderr, one line per event, secrets redacted.

Messages are constant, variables go into `extra`: `log.warning("provider off", extra={"provider": name})`.
"""

import logging
import re
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal

import msgspec

from gateway.observability.line_writer import LIMIT_BYTES, LineWriter

log = logging.getLogger(__name__)

STDERR: Final = 2
END_PATIENCE_S: Final = 1.0  # for a stuck reader of the log, at the end of the process

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


class ProcessLog(logging.Handler):
    """Writes the log of the whole process to `fd`, and never blocks the thread that logs: see `line_writer.py`.

    `logging` calls `close` at the end of the process. Then the queued lines have `END_PATIENCE_S`.
    """

    def __init__(self, fd: int = STDERR, limit: int = LIMIT_BYTES) -> None:
        super().__init__()
        self._writer = LineWriter(fd, limit, "process-log")
        self.setFormatter(JsonFormatter())

    @property
    def dropped(self) -> int:
        """The number of lines not written, because the queue was full or writing failed."""
        return self._writer.dropped

    def install(self) -> None:
        """Take over everything that Python would write to stderr: log, warnings, exceptions that no code catches."""
        logging.getLogger().handlers[:] = [self]
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        sys.unraisablehook = lambda one: _log_uncaught(one.exc_type, one.exc_value, one.exc_traceback)
        threading.excepthook = lambda one: _log_uncaught(one.exc_type, one.exc_value, one.exc_traceback)

    def configure(self, format: Format, level: Level) -> None:
        """Set the format of further lines, and the level below which there are none."""
        self.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
        logging.getLogger().setLevel(level.upper())

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line for `record`. `logging` calls this in one thread at a time."""
        try:
            line = self.format(record)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            plain = {"name": record.name, "levelname": record.levelname, "msg": "log record could not be formatted"}
            line = self.format(logging.makeLogRecord(plain))  # its arguments do not match, or a field has no text
        self._writer.write(line.encode(errors="replace") + b"\n")

    def close(self) -> None:
        """Write the queued lines and stop."""
        self._writer.close(END_PATIENCE_S)
        super().close()


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    log.error("uncaught exception", exc_info=(kind, error or kind(), trace))


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
