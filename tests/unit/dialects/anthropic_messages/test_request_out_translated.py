import json
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects.anthropic_messages.request_out import from_conversation
from gateway.dialects.unsupported_params import UnsupportedParams

PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)


def sent(*turns: Turn, model: str = "m", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        from_conversation(Conversation(turns=turns, **fields), model, UnsupportedParams())
    )
    PARAMS.validate_python({key: value for key, value in body.items() if key not in ("stream", "temperature")})
    return body


def test_roles_take_turns_and_results_come_first() -> None:
    body = sent(
        Turn("user", (Text("a"),)),
        Turn("user", (Text("b"),)),
        Turn("assistant", (ToolCall("c", "f", '{"x": 1}'), ToolCall("d", "g", ""))),
        Turn("user", (Text("wait"), ToolResult("c", (Text("2"),)))),
        Turn("user", (ToolResult("d", (), is_error=True),)),
    )
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    assert body["messages"][2]["content"][1] == {"type": "tool_result", "tool_use_id": "d", "is_error": True}
    assert [block["input"] for block in body["messages"][1]["content"]] == [{"x": 1}, {}]


def test_what_says_nothing_there_is_left_out() -> None:
    body = sent(
        Turn("user", (Text(""), Text("x"))),
        Turn("assistant", (Thinking("unsigned"), Text(""), Refusal(""))),
        Turn("user", (Text("y"),)),
        system=(Text(""),),
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
    ]
    assert "system" not in body


def test_pictures_and_documents_have_their_sources() -> None:
    body = sent(
        Turn(
            "user",
            (
                Image(url="https://x"),
                Image(data="AA==", media_type="image/png"),
                Document(text="words"),
                Document(url="https://y", title="t"),
                Document(data="AA==", media_type="application/pdf"),
            ),
        )
    )
    sources = [block["source"]["type"] for block in body["messages"][0]["content"]]
    assert sources == ["url", "base64", "text", "url", "base64"]
    assert body["messages"][0]["content"][3]["title"] == "t"


LOOP = (
    Turn("user", (Text("x"),)),
    Turn("assistant", (ToolCall("c", "f", ""),)),
    Turn("user", (ToolResult("c", ()),)),
)
SIGNED = (LOOP[0], Turn("assistant", (Thinking("hm", "s"), *LOOP[1].parts)), LOOP[2])
BUDGET = {"type": "enabled", "budget_tokens": 8192}


@pytest.mark.parametrize(
    ("model", "turns", "reasoning", "thinking", "effort"),
    [
        ("claude-sonnet-4-5", (), Reasoning(effort="medium"), BUDGET, None),
        ("claude-sonnet-4-5-20250929", (), Reasoning(effort="medium"), BUDGET, None),
        ("claude-opus-4-20250514", (), Reasoning(effort="medium"), BUDGET, None),
        ("claude-3-7-sonnet-latest", (), Reasoning(effort="medium"), BUDGET, None),
        ("anthropic/claude-opus-4-1", (), Reasoning(effort="medium"), BUDGET, None),
        ("claude-sonnet-4-5", (), Reasoning(budget_tokens=8192), BUDGET, None),
        ("claude-sonnet-4-5", (), Reasoning(effort="odd"), {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-opus-4-6", (), Reasoning(effort="max"), {"type": "adaptive"}, "max"),
        ("claude-opus-5", (), Reasoning(effort="minimal"), {"type": "adaptive"}, "low"),
        ("claude-opus-4-10", (), Reasoning(is_adaptive=True), {"type": "adaptive"}, None),
        ("claude-sonnet-4-5", (), Reasoning(effort="none"), None, None),
        ("claude-sonnet-4-5", LOOP, Reasoning(effort="medium"), None, None),
        ("claude-sonnet-4-5", SIGNED, Reasoning(effort="medium"), BUDGET, None),
        ("claude-sonnet-4-5", (*LOOP, Turn("user", (Text("so?"),))), Reasoning(effort="medium"), BUDGET, None),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: str, turns: tuple[Turn, ...], reasoning: Reasoning, thinking: Any, effort: str | None
) -> None:
    body = sent(*turns, model=model, reasoning=reasoning)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == 4096 + (thinking or {}).get("budget_tokens", 0)


def test_a_budget_stays_below_the_bound() -> None:
    body = sent(model="claude-sonnet-4-5", reasoning=Reasoning(effort="high"), max_tokens=2000)
    assert body["thinking"]["budget_tokens"] == 1999
    with pytest.raises(InvalidRequest):
        sent(model="claude-sonnet-4-5", reasoning=Reasoning(effort="high"), max_tokens=1000)


def test_a_choice_without_tools_is_none() -> None:
    assert "tool_choice" not in sent(parallel_tool_calls=False)


def test_what_is_lost_is_noted() -> None:
    unsupported = UnsupportedParams(drops_params=True)
    given_request = Conversation(
        turns=(Turn("user", (), "ann"),), seed=1, n=2, store=True, unsupported=("odd",), temperature=1.5
    )
    body = json.loads(from_conversation(given_request, "m", unsupported))
    assert unsupported.dropped == ["odd", "seed", "n", "store", "temperature", "messages.name"]
    assert body.keys() == {"model", "max_tokens", "messages"}
