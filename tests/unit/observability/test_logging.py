"""The process' log: one JSON object a line, with nothing secret in it."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.observability.logging import Format, Level, iso_time, redact, setup

Setup = Callable[[Format, Level], io.StringIO]

log = logging.getLogger("gateway.test")


@pytest.fixture
def start() -> Iterator[Setup]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def start(format: Format, level: Level) -> io.StringIO:
        stream = io.StringIO()
        setup(format, level, stream)
        return stream

    yield start
    root.handlers[:], _ = handlers, root.setLevel(level)
    logging.captureWarnings(False)


def only(stream: io.StringIO) -> dict[str, Any]:
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
    assert secret[3:] not in stream.getvalue()
    assert "***" in stream.getvalue()
    assert "failed with" in stream.getvalue()


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


def test_the_default_stream_is_stderr(start: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    start("json", "info")
    setup("json", "info")
    log.info("here")
    captured = capsys.readouterr()
    assert json.loads(captured.err)["message"] == "here"
    assert captured.out == ""
