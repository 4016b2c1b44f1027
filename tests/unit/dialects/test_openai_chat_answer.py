import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.openai_chat.answer import decode_answer, encode_answer, encode_provider_error, read_provider_error
from gateway.dialects.rejection import ProviderError

REQUEST = ChatRequest(b"", "/", "m")


def answer(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> Completion:
    return decode_answer(
        json.dumps({"id": "i", "choices": [{"message": message, "finish_reason": finish}], **more}).encode()
    )


def test_an_answer_is_its_thoughts_words_and_calls() -> None:
    calls = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "g"}}]
    message = {"content": "x", "reasoning_content": "hm", "refusal": None, "tool_calls": calls}
    found = answer(message, "tool_calls", model="m", created=7.0, usage={"prompt_tokens": 3}, service_tier="flex")
    assert found.parts == (Thinking("hm"), Text("x"), ToolCall("c", "f", "{}"), ToolCall("call_1", "g", ""))
    assert (found.id, found.model, found.created, found.service_tier) == ("i", "m", 7, "flex")
    assert found.usage == Usage(input=3)


@pytest.mark.parametrize(
    ("message", "finish", "stop"),
    [
        ({"content": "x"}, "stop", "end"),
        ({"content": "x"}, None, "end"),
        ({"content": "x"}, "eos", "end"),
        ({"content": "x"}, "length", "max_tokens"),
        ({"content": "x"}, "content_filter", "content_filter"),
        ({"tool_calls": [{"id": "c", "function": {"name": "f"}}]}, "stop", "tool_use"),
        ({"tool_calls": [{"id": "c", "function": {"name": "f"}}]}, "length", "max_tokens"),
        ({"refusal": "no"}, "stop", "refusal"),
    ],
)
def test_why_it_ended(message: dict[str, Any], finish: str | None, stop: str) -> None:
    assert answer(message, finish).stop == stop


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":null}'])
def test_what_is_no_answer_is_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_answer(body)


def test_an_error_in_disguise_is_one() -> None:
    with pytest.raises(Unavailable):
        decode_answer(b'{"error":{"message":"x"}}')


@pytest.mark.parametrize(
    ("stop", "parts", "finish"),
    [
        ("end", (Text("x"),), "stop"),
        ("stop_sequence", (Text("x"),), "stop"),
        ("pause", (), "stop"),
        ("max_tokens", (), "length"),
        ("context_window", (), "length"),
        ("tool_use", (ToolCall("c", "f", ""),), "tool_calls"),
        ("refusal", (), "content_filter"),
        ("refusal", (Refusal("no"),), "stop"),
        ("content_filter", (), "content_filter"),
    ],
)
def test_the_official_client_reads_what_is_written(stop: StopReason, parts: Any, finish: str) -> None:
    body = encode_answer(Completion("i", "m", parts, stop, usage=Usage(3, 2, 1, 4, reasoning=5), created=7), REQUEST)
    read = ChatCompletion.model_validate_json(body, strict=True)
    assert read.choices[0].finish_reason == finish
    assert read.choices[0].message.content == ("x" if parts and isinstance(parts[0], Text) else None)
    assert read.choices[0].message.refusal == ("no" if parts and isinstance(parts[0], Refusal) else None)
    assert read.usage is not None and (read.usage.prompt_tokens, read.usage.completion_tokens) == (6, 9)
    for call in read.choices[0].message.tool_calls or ():
        assert call.type == "function" and call.function.arguments == "{}"


def test_signed_thoughts_stand_whole_beside_their_text() -> None:
    parts = (Thinking("hm", "s"), Thinking(data="d"), Text("x"))
    message = json.loads(encode_answer(Completion("i", "m", parts, "end"), REQUEST))["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    plain = json.loads(encode_answer(Completion("i", "m", (Thinking("hm"),), "end"), REQUEST))["choices"][0]["message"]
    assert "thinking_blocks" not in plain


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', ProviderError("m", "t", "c", "p")),
        (b'{"error":{"message":"m","code":400}}', ProviderError("m", code="400")),
        (
            b'{"error":{"message":"m","code":400,"type":"exceed_context_size_error"}}',
            ProviderError("m", "exceed_context_size_error", "context_length_exceeded"),
        ),
        (b'{"error":"m"}', ProviderError("m")),
        (b'{"message":"m"}', ProviderError("m")),
        (b"{}", None),
        (b"<html>", None),
        (b'{"error":5}', None),
    ],
)
def test_errors_are_read_in_every_shape(body: bytes, expected: ProviderError | None) -> None:
    assert read_provider_error(body) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, "server_error")],
)
def test_errors_of_others_get_this_shape(status: int, kind: str) -> None:
    error = json.loads(encode_provider_error(ProviderError("m", "odd", "c", "p"), status))["error"]
    assert error == {"message": "m", "type": kind, "param": "p", "code": "c"}
