"""Chat completions as providers stream them, to a client that speaks messages; its official types read every event."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.core.chat import ChatRequest
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages, openai_chat
from gateway.dialects.bridge import Translator, bridge
from gateway.streaming.sse import Framer, events

FOLDER: Final = Path(__file__).parent / "openai_chat"
EVENT: Final[TypeAdapter[Any]] = TypeAdapter(RawMessageStreamEvent)
TEXTS: Final = {
    "llamacpp.sse": ('The answer is "2 + 2 = 4."', "max_tokens", Usage(input=43, output=12)),
    "text.sse": (
        'Der Preis ist 5 €,\u2028sagt: "data: [DONE]\\n\\n"!',
        "end_turn",
        Usage(input=176, cached_input=1024, output=9),
    ),
    "comments_crlf.sse": ("Der Preis ist 5", "end_turn", Usage(input=176, cached_input=1024, output=9)),
    "tool_call.sse": ("", "tool_use", Usage(input=176, cached_input=1024, output=9)),
}


def request() -> ChatRequest:
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    return anthropic_messages.decode_request(json.dumps(body).encode())


def translate(parts: list[bytes]) -> tuple[bytes, Translator, Meter]:
    meter, framer = Meter(), Framer(2**20)
    codec = bridge(anthropic_messages, openai_chat).read_stream(meter, request(), 7.0)
    assert isinstance(codec, Translator)
    return b"".join(codec.pass_on(framer.feed(part)) for part in parts), codec, meter


def message_of(stream: bytes) -> Message:
    """Put a message together as the official client does, each event read by its own types first."""
    message: dict[str, Any] = {}
    for event in events(stream):
        name, _, data = event.partition(b"\ndata: ")
        read = EVENT.validate_json(data)
        assert name == f"event: {read.type}".encode()
        match read.type:
            case "message_start":
                message = read.message.model_dump()
            case "content_block_start":
                assert read.index == len(message["content"])
                message["content"].append(read.content_block.model_dump() | {"_json": ""})
            case "content_block_delta":
                block = message["content"][read.index]
                if read.delta.type == "text_delta":
                    block["text"] += read.delta.text
                elif read.delta.type == "thinking_delta":
                    block["thinking"] += read.delta.thinking
                else:
                    block["_json"] += read.delta.partial_json
            case "message_delta":
                message |= {"stop_reason": read.delta.stop_reason, "stop_sequence": read.delta.stop_sequence}
                message["usage"] |= read.usage.model_dump(exclude_none=True)
    for block in message["content"]:
        if text := block.pop("_json"):
            block["input"] = json.loads(text)
    return Message.model_validate(message)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_says_the_same_as_messages(name: str, size: int) -> None:
    stream = (FOLDER / name).read_bytes()
    sent, codec, meter = translate([stream[at : at + size] for at in range(0, len(stream), size)])
    assert codec.closing() == b"" and not codec.has_failed
    text, reason, usage = TEXTS[name]
    message = message_of(sent)
    assert "".join(block.text for block in message.content if block.type == "text") == text
    assert message.stop_reason == reason
    assert meter.usage == usage
    assert message.usage.input_tokens == usage.input
    assert message.usage.cache_read_input_tokens == usage.cached_input
    assert message.usage.output_tokens == usage.total_output
    if name == "tool_call.sse":
        assert [(block.type, type(block.input)) for block in message.content] == [("tool_use", dict)]


@pytest.mark.parametrize("name", TEXTS)
def test_cut_at_any_position_a_stream_never_looks_complete(name: str) -> None:
    stream = (FOLDER / name).read_bytes()
    whole = translate([stream])[0]
    for length in range(len(stream)):
        sent, codec, _ = translate([stream[:length]])
        assert whole.startswith(sent)
        closing = codec.closing()
        if closing is None:
            assert b"message_stop" not in sent and b"message_delta" not in sent
        else:
            assert message_of(sent + closing).stop_reason == TEXTS[name][1]


def test_an_error_in_a_stream_becomes_an_error_of_the_client() -> None:
    sent, codec, _ = translate([(FOLDER / "error_in_stream.sse").read_bytes()])
    assert codec.has_failed and codec.closing() == b""
    last = list(events(sent))[-1]
    assert last.startswith(b"event: error\ndata: ")
    assert json.loads(last.partition(b"data: ")[2])["type"] == "error"
