import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects.openai_chat.request_out import from_conversation
from gateway.dialects.unsupported_params import UnsupportedParams

PARAMS: TypeAdapter[Any] = TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming)


def sent(*turns: Turn, model: str = "m", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        from_conversation(Conversation(turns=turns, **fields), model, UnsupportedParams())
    )
    PARAMS.validate_python(body | {"stream": False})
    return body


def test_one_text_is_a_string_and_more_is_a_list() -> None:
    one = sent(Turn("user", (Text("a"),)), system=(Text("s"),))
    assert [message["content"] for message in one["messages"]] == ["s", "a"]
    two = sent(Turn("user", (Text("a"), Image(url="https://x", detail="low"))))
    assert two["messages"][0]["content"][1]["image_url"] == {"url": "https://x", "detail": "low"}


def test_an_assistant_without_words_says_nothing_or_an_empty_text() -> None:
    body = sent(Turn("assistant", (ToolCall("c", "f", ""),)), Turn("assistant", ()), Turn("user", ()))
    assert body["messages"][0]["content"] is None
    assert body["messages"][0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert [message["content"] for message in body["messages"][1:]] == ["", ""]


def test_a_refusal_and_a_name_have_their_places() -> None:
    body = sent(Turn("assistant", (Refusal("no"),), "bob"))
    assert body["messages"] == [{"role": "assistant", "content": "", "refusal": "no", "name": "bob"}]


@pytest.mark.parametrize(
    "part", [Document(data="AA==", media_type="application/pdf"), Document(url="https://x"), Refusal("x")]
)
def test_what_a_user_can_not_say_there_is_refused(part: Part) -> None:
    with pytest.raises(InvalidRequest):
        sent(Turn("user", (part,)))


@pytest.mark.parametrize(
    ("model", "reasoning", "name"),
    [
        ("gpt-4o", None, "max_tokens"),
        ("llama-3", None, "max_tokens"),
        ("gpt-5-mini", None, "max_completion_tokens"),
        ("openai/gpt-5", None, "max_completion_tokens"),
        ("gpt-10", None, "max_completion_tokens"),
        ("o3", None, "max_completion_tokens"),
        ("olmo", None, "max_tokens"),
        ("any", Reasoning(effort="low"), "max_completion_tokens"),
        ("any", Reasoning(is_adaptive=True), "max_tokens"),
    ],
)
def test_the_bound_has_the_name_that_the_model_takes(model: str, reasoning: Reasoning | None, name: str) -> None:
    body = sent(model=model, max_tokens=5, reasoning=reasoning)
    assert body[name] == 5 and not {"max_tokens", "max_completion_tokens"} - {name} & body.keys()


def test_without_tools_nothing_is_said_of_them() -> None:
    assert sent(parallel_tool_calls=False).keys() == {"model", "messages"}


def test_json_without_a_schema_is_an_object() -> None:
    assert sent(output=OutputFormat())["response_format"] == {"type": "json_object"}


def test_a_stream_always_tells_its_usage() -> None:
    assert sent(stream=True)["stream_options"] == {"include_usage": True}


def test_what_there_is_no_parameter_for_is_lost() -> None:
    unsupported = UnsupportedParams(drops_params=True)
    from_conversation(Conversation(turns=(), top_k=5, unsupported=("odd",)), "m", unsupported)
    assert unsupported.dropped == ["odd", "top_k"]
