"""What is said, before a dialect puts it into bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import Answer, Words, compose, signature_of
from gateway.simulator.ask import Ask


def answer(model: str, **facts: Any) -> Answer:
    return compose(Ask(model, **facts), behaviour_of(model), number=7, created=0)


def test_words_are_made_as_they_are_taken() -> None:
    words = Words(behaviour_of("sim-tricky"), 10**9, 0)
    assert len(words) == 10**9
    few = list(words.first(3))
    assert few[0].startswith("data: [DONE]") and few[1:] == ["café ", "dolor "]
    assert list(Words(behaviour_of("sim-bytes7"), 2, 0)) == ["lorem l"] * 2


@given(think=st.integers(0, 5), tokens=st.integers(0, 9), limit=st.none() | st.integers(1, 20))
def test_no_answer_is_longer_than_its_limit(think: int, tokens: int, limit: int | None) -> None:
    said = answer(f"sim-tokens{tokens}" + (f"-think{think}" if think else ""), max_tokens=limit)
    wanted = think + tokens
    assert said.count == (wanted if limit is None else min(wanted, limit))
    assert (said.finish == "length") == (limit is not None and limit < wanted)
    assert said.thinking_tokens == min(think, said.count)


def test_calls_are_fitted_into_a_limit_whole() -> None:
    said = answer("sim-tools2-tokens20", max_tokens=5, tool_names=("find", "book"))
    assert said.finish == "length" and said.count == 5
    assert [(call.name, call.id, list(json.loads(call.text))) for call in said.calls] == [
        ("find", "call_7_0", ["words"]),
        ("book", "call_7_1", ["words"]),
    ]


def test_a_script_follows_from_the_number_of_results_alone() -> None:
    steps = [answer("sim-script2", tool_results=results, words=results + 3) for results in range(3)]
    assert [[(call.id, call.name, call.text) for call in step.calls] for step in steps] == [
        [("call_step_1", "step", '{"k": 1}')],
        [("call_step_2", "step", '{"k": 2}')],
        [],
    ]
    assert [step.finish for step in steps] == ["calls", "calls", "stop"]
    assert answer("sim-script2-tools3", tool_results=2).calls == ()


def test_an_echo_repeats_what_was_heard() -> None:
    said = answer("sim-echo", heard=("one  two", " three\n"))
    assert said.text_of("text") == "one  two\n three\n"
    assert said.count == 3


def test_a_schema_is_met_and_calls_come_before_it() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert json.loads(answer("sim", schema=schema).text_of("text")) == {"n": 7}
    assert answer("sim-tools1", schema=schema).text_of("text") == ""


@pytest.mark.parametrize(
    ("stop", "text", "found"),
    [(("dolor",), "lorem café ", "dolor"), (("amet", "é"), "lorem caf", "é"), (("", "nothing"), None, None)],
)
def test_the_first_stop_sequence_ends_the_text(stop: tuple[str, ...], text: str | None, found: str | None) -> None:
    said = answer("sim-think2-tokens9", stop=stop)
    assert said.stop_sequence == found and said.thinking_tokens == 2
    assert said.finish == ("stop_sequence" if found else "stop")
    assert text is None or said.text_of("text") == text


def test_a_limit_reached_before_a_stop_sequence_is_what_ended_the_answer() -> None:
    said = answer("sim", stop=("dolor",), max_tokens=1)
    assert (said.finish, said.stop_sequence) == ("length", None)


def test_a_refusal_is_all_there_is() -> None:
    said = answer("sim-refuse-tokens2-echo-tools2", heard=("x",))
    assert [part.kind for part in said.parts] == ["refusal"] and said.finish == "refusal"


def test_choices_multiply_the_tokens() -> None:
    assert answer("sim-tokens3", choices=4).count == 12


def test_prompt_tokens_are_words_or_as_told() -> None:
    assert answer("sim", words=9).prompt_tokens == 9
    assert answer("sim-prompt_tokens0", words=9).prompt_tokens == 0


def test_a_signature_is_that_of_one_text() -> None:
    assert signature_of("a") == signature_of("a") != signature_of("b")
