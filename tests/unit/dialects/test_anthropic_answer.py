import json
from typing import Any

import pytest
from anthropic.types import Message
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages.answer import (
    arguments_of,
    decode_answer,
    encode_answer,
    encode_provider_error,
    error_type,
    input_of,
    read_provider_error,
)
from gateway.dialects.rejection import TOO_LONG, ProviderError

REQUEST = ChatRequest(b"", "/", "m", tokens=11)


def message(*content: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"type": "message", "id": "i", "model": "m", "content": list(content), **more}).encode()


def test_every_block_has_its_word() -> None:
    found = decode_answer(
        message(
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "x", "citations": None},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1.50}},
            stop_reason="tool_use",
            usage={"input_tokens": 3, "output_tokens": 4},
        )
    )
    assert found.parts == (
        Thinking("hm", "s"),
        Thinking(data="d"),
        Text("x"),
        ToolCall("c", "f", '{"a": 1.5}'),
    )
    assert (found.id, found.model, found.stop, found.usage) == ("i", "m", "tool_use", Usage(input=3, output=4))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"content":5}', message({"type": "server_tool_use"}), message({"text": "x"})]
)
def test_what_is_no_answer_is_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_answer(body)


def test_an_error_in_disguise_is_one() -> None:
    with pytest.raises(Unavailable):
        decode_answer(b'{"type":"error","error":{"type":"x","message":"y"}}')


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("context_window", "model_context_window_exceeded"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_use"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_the_official_client_reads_what_is_written(stop: StopReason, reason: str) -> None:
    parts = (Thinking("hm", "s"), Thinking(data="d"), Text("x"), Refusal("no"), ToolCall("c", "f", '{"a": 1}'))
    usage = Usage(3, 2, 1, 4, cache_write_1h=1, reasoning=5)
    body = encode_answer(Completion("i", "m", parts, stop, stop_sequence="END", usage=usage), REQUEST)
    read = Message.model_validate_json(body)
    assert [block.type for block in read.content] == ["thinking", "redacted_thinking", "text", "text", "tool_use"]
    assert (read.stop_reason, read.stop_sequence) == (reason, "END")
    assert (read.usage.input_tokens, read.usage.output_tokens, read.usage.cache_creation_input_tokens) == (3, 9, 2)
    assert decode_answer(body).stop == ("refusal" if stop == "content_filter" else stop)


def test_where_nobody_counts_the_prompt_is_estimated() -> None:
    body = json.loads(encode_answer(Completion("i", "m", (), "end"), REQUEST))
    assert body["usage"]["input_tokens"] == 11


@pytest.mark.parametrize("text", ["{broken", "[1]", "null", '"x"', "\ud800"])
def test_arguments_that_are_no_object_keep_their_text(text: str) -> None:
    value = input_of(text)
    assert arguments_of(value) == text.encode("utf-8", "replace").decode()
    assert set(json.loads(bytes(value))) == {"_raw"}


@pytest.mark.parametrize(("text", "value"), [("", b"{}"), (" ", b"{}"), ('{"a":1.50}', b'{"a":1.50}')])
def test_arguments_that_are_an_object_stand_as_they_were(text: str, value: bytes) -> None:
    assert bytes(input_of(text)) == value


def test_an_argument_that_has_that_name_is_one() -> None:
    assert arguments_of(Raw(b'{"_raw": 5}')) == '{"_raw": 5}'
    assert arguments_of(Raw(b'{"_raw": "x", "b": 1}')) == '{"_raw": "x", "b": 1}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type":"error","error":{"type":"t","message":"m"}}', ProviderError("m", "t")),
        (
            b'{"error":{"message":"prompt is too long: 5 > 4"}}',
            ProviderError("prompt is too long: 5 > 4", None, TOO_LONG),
        ),
        (b"{}", None),
        (b"<html>", None),
    ],
)
def test_errors_are_read(body: bytes, expected: ProviderError | None) -> None:
    assert read_provider_error(body) == expected


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_look_for() -> None:
    for words in ("5 > 4", "prompt is too long: 5 > 4"):
        error = json.loads(encode_provider_error(ProviderError(words, code=TOO_LONG), 400))["error"]
        assert error == {"type": "invalid_request_error", "message": "prompt is too long: 5 > 4"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_status_has_its_type(status: int, kind: str) -> None:
    assert error_type(status) == kind
