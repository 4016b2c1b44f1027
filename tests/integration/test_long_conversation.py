"""Twenty turns of tool use, streamed, through a gateway that translates each of them: the same as without it."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.simulator import SimulatorProcess

TURNS = 20
KEY = "client-key-0123456789"
SCHEMA: Any = {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}
TASK = "Take all twenty steps, one after the other"
SAY = 'step {k} is done: "42" ✓\n\ttab, back\\slash, </tool_result> and data: [DONE]'

# The seed is what tells the two providers apart.
BODY = """
providers:
  sim-chat: {{kind: openai, url: "{url}/v1"}}
  sim-messages: {{kind: anthropic, url: "{url}"}}
models:
  sim-seed1-*: {{provider: sim-chat, price: {{input: 1, output: 2}}}}
  sim-seed2-*: {{provider: sim-messages, price: {{input: 1, output: 2}}}}
routes:
  - {{name: direct, match: ["*"], to: requested}}
"""


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    body = BODY.format(url=simulator.url.removesuffix("/v1"))
    with running_gateway(tmp_path_factory.mktemp("long"), body) as process:
        yield process


def in_messages(url: str, model: str) -> tuple[list[Any], Any]:
    """Hold the conversation as a client of messages; gives all turns, and of each of the model's why it ended and its tokens."""
    tools: Any = [{"name": "step", "description": "Take a step", "input_schema": SCHEMA}]
    turns: list[Any] = [{"role": "user", "content": TASK}]
    usage = []
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        for _ in range(TURNS + 1):
            with client.messages.stream(
                model=model, max_tokens=500, system="Be thorough", messages=turns, tools=tools
            ) as stream:
                message = stream.get_final_message()
            turns.append({"role": "assistant", "content": [_bare(block.to_dict()) for block in message.content]})
            usage.append((message.stop_reason, message.usage.input_tokens, message.usage.output_tokens))
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": SAY.format(k=_step(block))}
                for block in message.content
                if block.type == "tool_use"
            ]
            if results:
                turns.append({"role": "user", "content": results})
    return turns, usage


def in_chat(url: str, model: str) -> tuple[list[Any], Any]:
    """Hold it as a client of chat completions."""
    tools: Any = [
        {"type": "function", "function": {"name": "step", "description": "Take a step", "parameters": SCHEMA}}
    ]
    turns: list[Any] = [{"role": "system", "content": "Be thorough"}, {"role": "user", "content": TASK}]
    usage = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        for _ in range(TURNS + 1):
            with client.chat.completions.stream(
                model=model, max_tokens=500, messages=turns, tools=tools, stream_options={"include_usage": True}
            ) as stream:
                answer = stream.get_final_completion()
            [choice] = answer.choices
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in choice.message.tool_calls or ()
            ]
            said: dict[str, Any] = {"role": "assistant", "content": choice.message.content or None}
            turns.append({**said, "tool_calls": calls} if calls else said)
            assert answer.usage is not None
            usage.append((choice.finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens))
            for number, call in enumerate(calls, len(turns) // 2):
                content = SAY.format(k=number)
                turns.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return turns, usage


def _step(block: Any) -> int:
    return int(block.input["k"])


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    """Give a block as it is said again: without what only answers have, and is empty."""
    return {name: value for name, value in block.items() if value is not None}


def test_messages_over_chat_completions_are_the_messages_of_the_provider_itself(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = f"sim-seed1-script{TURNS}-tokens30"
    through = in_messages(f"http://127.0.0.1:{gateway.port}", model)
    direct = in_messages(simulator.url.removesuffix("/v1"), model)
    assert through == direct
    turns, usage = through
    assert [stop for stop, *_ in usage] == ["tool_use"] * TURNS + ["end_turn"]
    calls = [turn["content"][-1]["input"] for turn in turns[1:-1:2]]
    assert calls == [{"k": k} for k in range(1, TURNS + 1)]


def test_chat_completions_over_messages_are_those_of_the_provider_itself(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = f"sim-seed2-script{TURNS}-tokens30"
    through = in_chat(f"http://127.0.0.1:{gateway.port}", model)
    direct = in_chat(simulator.url.removesuffix("/v1"), model)
    assert through == direct
    turns, usage = through
    assert [stop for stop, *_ in usage] == ["tool_calls"] * TURNS + ["stop"]
    assert len([turn for turn in turns if turn["role"] == "tool"]) == TURNS


@pytest.mark.parametrize("seed", [1, 2])
def test_a_provider_hears_what_a_client_of_its_own_dialect_says(
    seed: int, gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = f"sim-seed{seed}-script{TURNS}-tokens29"
    translated, own = (in_messages, in_chat) if seed == 1 else (in_chat, in_messages)
    translated(f"http://127.0.0.1:{gateway.port}", model)
    heard = json.loads(simulator.recorded(model)[1])
    own(simulator.url.removesuffix("/v1"), model)
    said = json.loads(simulator.recorded(model)[1])
    assert len(heard["messages"]) >= 2 * TURNS + 1
    assert _plain(heard["messages"]) == _plain(said["messages"])
    assert (_plain(heard.get("system")), heard["tools"]) == (_plain(said.get("system")), said["tools"])


def _plain(value: Any) -> Any:
    """Give one form for what a dialect lets be said in two: a text alone or in a list, arguments however they are spaced."""
    if isinstance(value, dict):
        fields = {name: _plain(one) for name, one in value.items() if one is not None}
        if "arguments" in fields:
            fields["arguments"] = json.loads(fields["arguments"])
        return fields
    if isinstance(value, list):
        texts = [one.get("text") if isinstance(one, dict) and one.get("type") == "text" else None for one in value]
        return texts[0] if len(texts) == 1 and texts[0] is not None else [_plain(one) for one in value]
    return value
