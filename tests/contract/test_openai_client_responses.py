"""OpenAI's own client reads what the gateway writes of responses and completions, and raises what fails."""

import json
from pathlib import Path
from typing import Any, Final

import httpx2
import openai
import pytest

from gateway.core.conversation import Failure, Start, TextDelta
from gateway.core.errors import InvalidRequest, StreamInterrupted
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge

FOLDER: Final = Path(__file__).parent
WEATHER: Final[Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": True,
}


def client_of(answer: Any) -> openai.OpenAI:
    """Return a client whose requests `answer` handles: a body to bytes, a content type and a status."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        body, content_type, status = answer(request.read())
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(handle))
    return openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http, max_retries=0)


def translating(client: ConversationDialect, provider: ConversationDialect, recorded: Path) -> Any:
    """Answer as the gateway does, from a provider that streams what was recorded."""

    def answer(raw: bytes) -> tuple[bytes, str, int]:
        request = client.decode_request(raw)
        between = bridge(client, provider)
        between.encode_request(request, "m")
        codec = between.read_stream(Meter(), request, 7.0)
        written = codec.forward(recorded.read_bytes())
        assert codec.closing() == b""
        return written, "text/event-stream", 200

    return answer


@pytest.mark.parametrize(
    ("provider", "file", "text"),
    [
        (openai_chat, "openai_chat/text.sse", 'Der Preis ist 5 €,\u2028sagt: "data: [DONE]\\n\\n"!'),
        (anthropic_messages, "anthropic_messages/tools.sse", "Ich sehe nach."),
        (anthropic_messages, "anthropic_messages/thinking.sse", "Four."),
        (openai_responses, "openai_responses/tools.sse", "I look."),
    ],
    ids=["chat", "messages with calls", "messages with thoughts", "responses"],
)
def test_its_stream_helper_puts_an_answer_together(provider: ConversationDialect, file: str, text: str) -> None:
    client = client_of(translating(openai_responses, provider, FOLDER / file))
    deltas = ""
    with client.responses.stream(model="m", input="x") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                deltas += event.delta
        final = stream.get_final_response()
    assert final.status == "completed" and final.output_text == deltas == text
    assert final.usage is not None and final.usage.total_tokens > 0


def test_its_stream_helper_reads_the_arguments_of_calls() -> None:
    client = client_of(translating(openai_responses, openai_chat, FOLDER / "openai_chat/tool_call.sse"))
    with client.responses.stream(model="m", input="x", tools=[WEATHER]) as stream:
        deltas = "".join(e.delta for e in stream if e.type == "response.function_call_arguments.delta")
        final = stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call" and call.call_id == "call_1" and call.name == "get_weather"
    assert json.loads(call.arguments) == json.loads(deltas) == {"city": "Zürich", "usage": {"n": 1}}


def test_its_stream_of_completions_reads_what_a_chat_says() -> None:
    client = client_of(translating(openai_completions, openai_chat, FOLDER / "openai_chat/text.sse"))
    chunks = list(client.completions.create(model="m", prompt="x", stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices).startswith("Der Preis")
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == 1200


def test_its_completion_is_what_a_message_says() -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "four"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }

    def answer(raw: bytes) -> tuple[bytes, str, int]:
        request = openai_completions.decode_request(raw)
        between = bridge(openai_completions, anthropic_messages)
        body, _ = between.read_answer(json.dumps(message).encode(), request, 7.0)
        return body, "application/json", 200

    read = client_of(answer).completions.create(model="m", prompt="2+2=")
    assert (read.choices[0].text, read.choices[0].finish_reason, read.model) == ("four", "length", "claude")
    assert read.usage is not None and read.usage.total_tokens == 7 and read.created == 7


def test_it_raises_what_a_provider_reports_in_its_stream() -> None:
    def answer(raw: bytes) -> tuple[bytes, str, int]:
        encoder = openai_responses.open_encoder(openai_responses.decode_request(raw))
        story = (Start("r", "m", 7), TextDelta(0, "Der"), Failure("it broke", "server_error"))
        return b"".join(map(encoder.encode, story)), "text/event-stream", 200

    with (
        pytest.raises(openai.APIError, match="it broke"),
        client_of(answer).responses.stream(model="m", input="x") as s,
    ):
        s.until_done()


def test_it_raises_that_a_stream_broke_off() -> None:
    def answer(raw: bytes) -> tuple[bytes, str, int]:
        encoder = openai_responses.open_encoder(openai_responses.decode_request(raw))
        begun = encoder.encode(Start("r", "m", 7)) + encoder.encode(TextDelta(0, "Der"))
        cut = openai_responses.encode_error_event(StreamInterrupted("the provider's stream broke off"))
        return begun + cut, "text/event-stream", 200

    with (
        pytest.raises(openai.APIError, match="broke off"),
        client_of(answer).responses.stream(model="m", input="x") as s,
    ):
        s.until_done()


def test_it_raises_a_bad_request_for_what_can_not_be_translated() -> None:
    def answer(raw: bytes) -> tuple[bytes, str, int]:
        request = openai_responses.decode_request(raw)
        try:
            bridge(openai_responses, openai_chat).encode_request(request, "m")
        except InvalidRequest as error:
            return openai_responses.encode_error(error), "application/json", error.http_status
        raise AssertionError("it was translated")

    with pytest.raises(openai.BadRequestError) as caught:
        client_of(answer).responses.create(model="m", input="x", previous_response_id="resp_1")
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "unsupported_parameter")
