"""Any mix of callers gets exactly its own vectors, in order, and usage that adds up exactly."""

import asyncio
import json
import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.spec import BatchSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, Rejected
from gateway.core.response import Response
from gateway.core.tasks import Tasks
from gateway.dialects.openai_embeddings import read_answer
from gateway.dialects.openai_embeddings.batch import count_inputs, divide, join, split
from gateway.dialects.openai_embeddings.request_in import inputs_of
from gateway.pools.batches import Batches, BatchItem
from tests.support.embeddings import BAD_INPUT, Input, answer, inputs_in, request, tokens, vector
from tests.support.loops import VirtualTimeLoop

texts = st.text(st.characters(codec="utf-8"), max_size=30)
token_lists = st.lists(st.integers(0, 200_000), min_size=1, max_size=6)
callers_of_texts = st.lists(texts | st.lists(texts, min_size=1, max_size=5), min_size=1, max_size=12)
callers_of_tokens = st.lists(token_lists | st.lists(token_lists, min_size=1, max_size=4), min_size=1, max_size=12)


def own(given: Input | list[Input]) -> list[Input]:
    return inputs_in({"input": given})


@given(callers_of_texts | callers_of_tokens, st.randoms(use_true_random=False))
def test_what_is_joined_and_split_is_what_each_would_have_got_alone(
    callers: list[Input], shuffle: random.Random
) -> None:
    requests = [request(one) for one in callers]
    inputs = inputs_in(json.loads(join(requests, "e")))
    assert inputs == [one for caller in callers for one in own(caller)]
    whole = answer(inputs)
    shuffle.shuffle(whole["data"])
    parts = split(json.dumps(whole).encode(), requests)
    for caller, (body, usage) in zip(callers, parts, strict=True):
        part = json.loads(body)
        assert [item["embedding"] for item in part["data"]] == [vector(one) for one in own(caller)]
        assert [item["index"] for item in part["data"]] == list(range(len(own(caller))))
        assert usage is not None and part["usage"] == {"prompt_tokens": usage.input, "total_tokens": usage.input}
    assert sum(usage.input for _, usage in parts if usage) == whole["usage"]["prompt_tokens"]
    assert sum(map(count_inputs, requests)) == sum(len(inputs_of(one.fields["input"])) for one in requests)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_shares_add_up_and_are_off_by_less_than_one(total: int, weights: list[int]) -> None:
    shares = divide(total, weights)
    assert sum(shares) == total
    assert all(
        abs(share * sum(weights) - total * weight) < sum(weights) for share, weight in zip(shares, weights, strict=True)
    )


caller = st.tuples(
    st.lists(texts.filter(lambda text: text != BAD_INPUT) | st.just(BAD_INPUT), min_size=1, max_size=4),
    st.floats(0, 0.05),  # when it comes
    st.none() | st.floats(0, 0.1),  # when it leaves
)


@given(st.lists(caller, min_size=1, max_size=20), st.integers(2, 8))
def test_whoever_comes_and_goes_each_has_its_own_outcome(
    callers: list[tuple[list[str], float, float | None]], most: int
) -> None:
    calls: list[list[Input]] = []
    counted = 0

    async def send(requests: list[ChatRequest]) -> list[Response]:
        nonlocal counted
        inputs = inputs_in(json.loads(join(requests, "e")))
        calls.append(inputs)
        await asyncio.sleep(0.02)
        if BAD_INPUT in inputs:
            raise Rejected("an input is bad", status=400, body=b"{}", content_type="application/json")
        counted += sum(map(tokens, inputs))
        return [
            Response(200, {}, body=body, usage=usage)
            for body, usage in split(json.dumps(answer(inputs)).encode(), requests)
        ]

    async def come(batches: Batches, inputs: list[str], after_s: float, leaves_s: float | None) -> object:
        await asyncio.sleep(after_s)
        one, settings = request(inputs), BatchSpec(most, 0.01)
        try:
            async with asyncio.timeout(leaves_s):
                return await batches.ask("k", BatchItem(one, len(inputs), send), settings, None)  # type: ignore[arg-type]
        except GatewayError as error:
            return error
        except TimeoutError:
            return None

    async def run() -> list[object]:
        tasks = Tasks()
        batches = Batches(tasks)
        found = await asyncio.gather(*(come(batches, *one) for one in callers))
        await asyncio.sleep(1)
        assert not tasks._tasks and not batches._open
        return found

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        outcomes = runner.run(run())
    had = 0
    for (inputs, _, leaves_s), outcome in zip(callers, outcomes, strict=True):
        if outcome is None:
            assert leaves_s is not None
        elif BAD_INPUT in inputs:
            assert isinstance(outcome, Rejected)
        else:
            assert isinstance(outcome, Response) and outcome.usage is not None
            assert [item["embedding"] for item in json.loads(outcome.body)["data"]] == [vector(one) for one in inputs]
            assert read_answer(outcome.body) is not None
            had += outcome.usage.input
    assert had <= counted
    if all(leaves_s is None for _, _, leaves_s in callers):
        assert had == counted
    assert all(len(call) <= max(most, 4) for call in calls)
