"""Legacy completions: what is read, and the bytes of what is said."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.completions import Completions, read_prompts
from tests.support import sse


def read(**body: Any) -> Ask:
    return Completions.read(json.dumps({"model": "sim", **body}).encode(), {})


@pytest.mark.parametrize(
    ("given", "texts", "tokens"),
    [
        ("two words", ["two words"], [2]),
        (["a b", "c"], ["a b", "c"], [2, 1]),
        ([1, 2, 3], ["1 2 3"], [3]),
        ([[1, 2], [3]], ["1 2", "3"], [2, 1]),
    ],
)
def test_prompts_are_texts_or_tokens(given: Any, texts: list[str], tokens: list[int]) -> None:
    assert read_prompts(given) == list(zip(texts, tokens, strict=True))


@pytest.mark.parametrize("given", [[], [[]], [None], [["a"]]])
def test_nothing_else_is_a_prompt(given: Any) -> None:
    with pytest.raises(BadAsk):
        read_prompts(given)


def test_a_request_is_read() -> None:
    ask = read(prompt="two words", max_tokens=3, stop=["x"], stream=True, stream_options={"include_usage": True})
    assert (ask.words, ask.max_tokens, ask.stop, ask.stream, ask.wants_usage) == (2, 3, ("x",), True, True)
    assert read().choices == 1


def test_streamed_and_unstreamed_texts_are_the_same() -> None:
    body: dict[str, Any] = {"prompt": ["a", "b"], "echo": True, "max_tokens": 2}
    whole = Completions.tell(compose(read(**body), behaviour_of("sim"), 7, 0))
    told = Completions.tell(
        compose(read(**body, stream=True, stream_options={"include_usage": True}), behaviour_of("sim"), 7, 0)
    )
    assert isinstance(whole, bytes) and not isinstance(told, bytes)
    document = json.loads(whole)
    chunks = sse.chunks_of(b"".join([*told.opening(), *(event for _, event in told.contents()), *told.ending()]))
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert [choice["text"] for choice in document["choices"]] == texts == ["alorem café ", "blorem café "]
    assert [choice["finish_reason"] for choice in document["choices"]] == ["length"] * 2
    assert chunks[-1]["usage"] == document["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    assert "error" in sse.chunks_of(told.failure())[0] and told.mark() == b"data: [DONE]\n\n"
