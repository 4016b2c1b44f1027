"""The process' log: one JSON object a line, with nothing secret in it."""

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from gateway.observability.logging import Format, Level, ProcessLog, iso_time, redact

log = logging.getLogger("gateway.test")


class Output:
    """A process log and the pipe that it writes to."""

    def __init__(self, format: Format, level: Level) -> None:
        self.reader, self.writer = os.pipe()
        self.log = ProcessLog(self.writer)
        self.log.install()
        self.log.configure(format, level)

    def getvalue(self) -> str:
        """Return everything that was logged; ends the log."""
        self.log.close()
        os.close(self.writer)
        with os.fdopen(self.reader) as file:
            return file.read()


Setup = Callable[[Format, Level], Output]


@pytest.fixture
def start(restored_logging: None) -> Setup:
    return Output


def only(stream: Output) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    fields: dict[str, Any] = json.loads(lines[0])
    return fields


def test_a_line_holds_message_level_logger_and_extra_fields(start: Setup) -> None:
    stream = start("json", "info")
    log.warning("provider off", extra={"provider": "openai", "generation": 3})
    fields = only(stream)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "warning",
        "logger": "gateway.test",
        "message": "provider off",
        "provider": "openai",
        "generation": 3,
    }


def test_a_traceback_is_one_field(start: Setup) -> None:
    stream = start("json", "info")
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        log.exception("task failed")
    assert "ValueError: broken\nin two lines" in only(stream)["exception"]


def test_lines_below_the_level_are_left_out(start: Setup) -> None:
    stream = start("json", "warning")
    log.info("quiet")
    assert stream.getvalue() == ""


def test_a_later_setup_takes_the_place_of_the_earlier(start: Setup) -> None:
    first, second = start("json", "info"), start("json", "info")
    log.info("once")
    assert first.getvalue() == ""
    assert only(second)["message"] == "once"


def test_what_json_cannot_carry_is_written_as_text(start: Setup) -> None:
    stream = start("json", "info")
    log.info("odd", extra={"path": pytest, "names": ("a", 2), "torn": "\ud800", "map": {1: None}})
    fields = only(stream)
    assert fields["names"] == ["a", 2]
    assert fields["torn"] == "?"
    assert fields["map"] == {"1": None}
    assert "module" in fields["path"]


def test_warnings_are_logged(start: Setup) -> None:
    stream = start("json", "info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    assert "old way" in only(stream)["message"]


def test_text_format_is_one_line_for_people(start: Setup) -> None:
    stream = start("text", "info")
    log.info("config active\nforged line", extra={"generation": 2})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO    config active\\nforged line generation=2")


def test_text_format_puts_the_traceback_below(start: Setup) -> None:
    stream = start("text", "info")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("task failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("task failed")
    assert lines[-1] == "ValueError: broken"


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_secret_reaches_a_line_by_any_way(start: Setup, format: Format) -> None:
    stream = start(format, "debug")
    secret = "sk-proj-" + "a1B2" * 6
    try:
        raise RuntimeError(f"upstream said: bad key {secret}")
    except RuntimeError:
        log.exception("failed with %s", secret, extra={"header": f"Bearer {secret}", "nested": {"key": [secret]}})
    written = stream.getvalue()
    assert secret[3:] not in written
    assert "***" in written
    assert "failed with" in written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ('{"x-api-key": "abc-def"}', '{"x-api-key": "***"}'),
        (r'"{\"x-api-key\": \"abc-def\"}"', r'"{\"x-api-key\": \"***\"}"'),
        ("api_key=abc-def, next", "api_key=***, next"),
        ("password: hunter2", "password: ***"),
        ("redis://user:hunter2@host:6379/0", "redis://user:***@host:6379/0"),
        ("sk-ant-api03-abcdefgh", "sk-***"),
        ("task-force sk-1", "task-force sk-1"),
        ("the bearer of bad news", "the bearer of bad news"),
        ("http://host:8000/v1", "http://host:8000/v1"),
    ],
)
def test_redaction_hides_keys_and_leaves_words(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_time_is_utc_to_the_millisecond() -> None:
    assert iso_time(0.0) == "1970-01-01T00:00:00.000Z"
    assert iso_time(1700000000.5) == "2023-11-14T22:13:20.500Z"


def test_the_default_stream_is_stderr(start: Setup, capfd: pytest.CaptureFixture[str]) -> None:
    with_default = ProcessLog()
    with_default.install()
    log.warning("here")
    with_default.close()
    captured = capfd.readouterr()
    assert json.loads(captured.err)["message"] == "here"
    assert captured.out == ""


def test_a_reload_changes_format_and_level(start: Setup) -> None:
    stream = start("json", "info")
    stream.log.configure("text", "error")
    log.warning("quiet")
    log.error("loud")
    assert stream.getvalue().endswith("ERROR   loud\n")


def test_a_stuck_reader_costs_lines_and_no_time(start: Setup) -> None:
    stream = start("json", "info")
    for number in range(200):
        log.warning("full", extra={"number": number, "text": "x" * 20_000})
    assert stream.log.dropped > 100  # the pipe and the queue hold the others
    reading = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(stream.reader, 65536), b"")])
    reading.start()
    stream.log.close()
    os.close(stream.writer)
    reading.join()
    os.close(stream.reader)


def test_a_closed_reader_costs_lines_and_raises_nothing(start: Setup) -> None:
    stream = start("json", "info")
    os.close(stream.reader)
    log.error("lost")
    stream.log.close()
    os.close(stream.writer)
    assert stream.log.dropped == 1


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(("arguments", "extra"), [(("a", "b"), {}), ((), {"field": Unprintable()})])
def test_a_record_without_a_text_is_logged_as_such(
    start: Setup, arguments: tuple[str, ...], extra: dict[str, Any]
) -> None:
    stream = start("json", "info")
    log.error("%s", *arguments, extra=extra) if arguments else log.error("odd", extra=extra)
    fields = only(stream)
    assert (fields["level"], fields["logger"]) == ("error", "gateway.test")
    assert fields["message"] == "log record could not be formatted"


def test_what_python_reports_of_uncaught_exceptions_goes_through_the_queue(start: Setup) -> None:
    stream = start("json", "info")

    def fail() -> None:
        raise LookupError("in a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    class Broken:
        def __del__(self) -> None:
            raise LookupError("in __del__")

    Broken().__class__  # noqa: B018
    sys.excepthook(ValueError, ValueError("at the end"), None)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["message"] for one in lines] == ["uncaught exception"] * 3
    shown = " ".join(one["exception"] for one in lines)
    assert all(text in shown for text in ("in a thread", "in __del__", "at the end"))
