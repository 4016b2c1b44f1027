"""Batches: when they are sent, what is in them, and the result of each item."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from gateway.config.spec import BatchSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    GatewayError,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from gateway.core.response import Response
from gateway.core.tasks import Tasks
from gateway.pools.batches import TIMER_S, TOKENS_LIMIT, Batches, BatchItem
from tests.support.loops import in_virtual_time, until

SETTINGS = BatchSpec(max=4, wait_s=0.01 + TIMER_S)
KEY = "key"


def rejection(status: int, kind: type[Rejected] = Rejected) -> Rejected:
    return kind("no", status=status, body=b"{}", content_type="application/json")


class Calls:
    """Makes the calls: each takes `takes_s`, and answers unless `error` has something to say to its requests."""

    def __init__(self, takes_s: float = 0.05) -> None:
        self.tasks = Tasks()
        self.batches = Batches(self.tasks)
        self.takes_s = takes_s
        self.made: list[tuple[float, str]] = []  # when, and the names of the requests in it
        self.cancelled: list[str] = []
        self.error: Callable[[str], BaseException | None] = lambda names: None

    @property
    def names(self) -> list[str]:
        return [names for _, names in self.made]

    async def send(self, requests: Sequence[ChatRequest]) -> list[Response]:
        names = "".join(request.model for request in requests)
        self.made.append((round(asyncio.get_running_loop().time() - 1000, 6), names))
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled.append(names)
            raise
        if (error := self.error(names)) is not None:
            raise error
        return [Response(200, {}, body=request.model.encode()) for request in requests]

    def ask(
        self, name: str, inputs: int = 1, tokens: int = 1, key: str = KEY, total_at: float | None = None
    ) -> Awaitable[Response]:
        request = ChatRequest(raw=b"", path="/v1/embeddings", model=name, tokens=tokens)
        return self.batches.ask(key, BatchItem(request, inputs, self.send), SETTINGS, total_at)

    async def outcomes(self, names: str, **options: Any) -> list[str]:
        """Send an item for each letter at the same time; return the result of each: its name, or the class of its error."""
        found = await asyncio.gather(*(self.ask(name, **options) for name in names), return_exceptions=True)
        return [one.body.decode() if isinstance(one, Response) else type(one).__name__ for one in found]

    async def come_to_rest(self) -> None:
        """Let what has ended go, and see that nothing is left."""
        await until(lambda: not self.tasks._tasks)
        assert not self.batches._open


# When a batch goes


@in_virtual_time
async def test_a_batch_goes_when_its_wait_is_over() -> None:
    calls = Calls()
    assert await calls.outcomes("abc") == ["a", "b", "c"]
    assert calls.made == [(0.01, "abc")]
    await calls.come_to_rest()


@in_virtual_time
async def test_a_wait_no_longer_than_a_timers_own_gathers_the_items_at_hand() -> None:
    calls = Calls()
    request = ChatRequest(raw=b"", path="/v1/embeddings", model="a")
    asking = [calls.batches.ask(KEY, BatchItem(request, 1, calls.send), BatchSpec(4, 0.0005), None) for _ in range(2)]
    await asyncio.gather(*asking)
    assert calls.made == [(0.0, "aa")]


@in_virtual_time
async def test_the_wait_is_since_the_first_not_the_last() -> None:
    calls = Calls()
    first = asyncio.ensure_future(calls.ask("a"))
    await asyncio.sleep(0.006)
    second = asyncio.ensure_future(calls.ask("b"))
    await asyncio.gather(first, second)
    assert calls.made == [(0.01, "ab")]


@in_virtual_time
async def test_a_full_batch_goes_at_once() -> None:
    calls = Calls()
    assert await calls.outcomes("abcde") == list("abcde")
    assert calls.made == [(0.0, "abcd"), (0.01, "e")]


@in_virtual_time
async def test_inputs_fill_a_batch_not_callers() -> None:
    calls = Calls()
    assert await calls.outcomes("abc", inputs=2) == list("abc")
    assert calls.names == ["ab", "c"]


@in_virtual_time
async def test_a_batch_is_sent_before_an_item_that_does_not_fit() -> None:
    calls = Calls()
    found = [asyncio.ensure_future(calls.ask(name, inputs)) for name, inputs in (("a", 1), ("b", 2), ("c", 3))]
    await asyncio.gather(*found)
    assert calls.made == [(0.0, "ab"), (0.01, "c")]


@in_virtual_time
async def test_tokens_bound_a_batch_as_well() -> None:
    calls = Calls()
    assert await calls.outcomes("abc", tokens=TOKENS_LIMIT // 2) == list("abc")
    assert calls.names == ["ab", "c"]


@in_virtual_time
async def test_only_those_alike_are_together() -> None:
    calls = Calls()
    await asyncio.gather(calls.ask("a", key="one"), calls.ask("b", key="other"), calls.ask("c", key="one"))
    assert calls.names == ["ac", "b"]


@in_virtual_time
async def test_an_item_after_a_batch_was_sent_is_in_the_next() -> None:
    calls = Calls()
    first = asyncio.ensure_future(calls.ask("a"))
    await asyncio.sleep(0.02)
    await calls.ask("b")
    assert (calls.made, (await first).body) == ([(0.01, "a"), (0.03, "b")], b"a")


# What goes wrong


@in_virtual_time
async def test_a_bad_input_fails_its_own_caller_only() -> None:
    calls = Calls()
    calls.error = lambda names: rejection(400) if "c" in names else None
    assert await calls.outcomes("abcd") == ["a", "b", "Rejected", "d"]
    assert calls.names == ["abcd", "ab", "cd", "c", "d"]
    await calls.come_to_rest()


@pytest.mark.parametrize(
    "error",
    [
        rejection(400),
        rejection(413),
        rejection(422),
        rejection(400, ContextTooLong),
        rejection(403, ContentRefused),
    ],
)
def test_an_error_that_may_concern_one_input_splits_the_batch(error: Rejected) -> None:
    @in_virtual_time
    async def run() -> None:
        calls = Calls()
        calls.error = lambda names: error if len(names) > 1 else None
        assert await calls.outcomes("abcd") == list("abcd")

    run()


@pytest.mark.parametrize(
    "error",
    [
        rejection(404),
        rejection(402),
        Unavailable("down", status=503),
        UpstreamRateLimited("slow down", retry_after_s=3.0),
        UpstreamTimeout("late", code="answer_timeout"),
    ],
)
def test_any_other_failure_is_everybodys_and_the_breaker_hears_it_once(error: UpstreamError) -> None:
    @in_virtual_time
    async def run() -> None:
        calls = Calls()
        calls.error = lambda names: error
        found = await asyncio.gather(*(calls.ask(name) for name in "abc"), return_exceptions=True)
        assert calls.names == ["abc"]
        assert found[0] is error
        for one in found[1:]:
            assert isinstance(one, type(error))
            assert vars(one) == {**vars(error), "is_echo": True}
            assert one.args == error.args and not one.hurts_breaker
            assert one.effect == error.effect and one.is_retryable == error.is_retryable
        await calls.come_to_rest()

    run()


@in_virtual_time
async def test_a_single_item_gets_its_error_at_once() -> None:
    calls = Calls()
    calls.error = lambda names: rejection(400)
    assert await calls.outcomes("a") == ["Rejected"]
    assert calls.names == ["a"]


@in_virtual_time
async def test_a_failure_of_a_half_is_that_halfs() -> None:
    calls = Calls()
    down = Unavailable("down", status=503)
    calls.error = lambda names: rejection(400) if len(names) == 4 else down if "a" in names else None
    assert await calls.outcomes("abcd") == ["Unavailable", "Unavailable", "c", "d"]


@in_virtual_time
async def test_each_item_is_sent_again_by_its_own_sender() -> None:
    """A half is sent by one of its own items: the headers of another item would be wrong."""
    calls = Calls()
    asked: list[tuple[str, str]] = []

    def sender(name: str) -> Callable[[Sequence[ChatRequest]], Awaitable[list[Response]]]:
        async def send(requests: Sequence[ChatRequest]) -> list[Response]:
            asked.append((name, "".join(request.model for request in requests)))
            if len(requests) > 1:
                raise rejection(400)
            return await calls.send(requests)

        return send

    requests = [ChatRequest(raw=b"", path="", model=name) for name in "abc"]
    batches = [calls.batches.ask(KEY, BatchItem(one, 1, sender(one.model)), SETTINGS, None) for one in requests]
    assert [one.body for one in await asyncio.gather(*batches)] == [b"a", b"b", b"c"]
    assert sorted(asked) == [("a", "a"), ("a", "abc"), ("b", "b"), ("b", "bc"), ("c", "c")]


@in_virtual_time
async def test_a_bug_leaves_no_item_waiting(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls()
    calls.error = lambda names: ZeroDivisionError()
    found = await asyncio.gather(calls.ask("a"), calls.ask("b"), return_exceptions=True)
    assert [isinstance(one, GatewayError) and one.error_code for one in found] == ["internal_error"] * 2
    assert "background task failed" in caplog.text
    await calls.come_to_rest()


@in_virtual_time
async def test_the_end_of_the_process_leaves_no_item_waiting() -> None:
    calls = Calls()
    asking = [asyncio.ensure_future(calls.ask(name)) for name in "ab"]
    await asyncio.sleep(0.03)
    await calls.tasks.close()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, GatewayError) for one in found)
    assert calls.cancelled == ["ab"]


# Who leaves


@in_virtual_time
async def test_an_item_that_leaves_before_the_batch_is_sent_is_not_in_it() -> None:
    calls = Calls()
    asking = [asyncio.ensure_future(calls.ask(name, 2)) for name in "a"]
    leaving = asyncio.ensure_future(calls.ask("b", 1))
    await asyncio.sleep(0.005)
    leaving.cancel()
    await asyncio.sleep(0)
    asking.append(asyncio.ensure_future(calls.ask("c", 2)))  # its place is free again
    await asyncio.gather(*asking)
    assert leaving.cancelled()
    assert calls.made == [(0.005, "ac")]
    await calls.come_to_rest()


@in_virtual_time
async def test_where_the_last_leaves_nothing_is_sent() -> None:
    calls = Calls()
    leaving = [asyncio.ensure_future(calls.ask(name)) for name in "ab"]
    await asyncio.sleep(0.005)
    for one in leaving:
        one.cancel()
    await asyncio.sleep(1)
    assert calls.made == []
    await calls.come_to_rest()


@in_virtual_time
async def test_an_item_that_leaves_a_sent_batch_takes_nothing_from_the_others() -> None:
    calls = Calls()
    leaving, staying = (asyncio.ensure_future(calls.ask(name)) for name in "ab")
    await asyncio.sleep(0.02)
    leaving.cancel()
    assert (await staying).body == b"b"
    assert (calls.names, calls.cancelled) == (["ab"], [])


@in_virtual_time
async def test_with_the_last_the_call_is_cancelled() -> None:
    calls = Calls()
    leaving = [asyncio.ensure_future(calls.ask(name)) for name in "ab"]
    await asyncio.sleep(0.02)
    for one in leaving:
        one.cancel()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert calls.cancelled == ["ab"]
    await calls.come_to_rest()


@in_virtual_time
async def test_an_item_that_has_left_is_not_sent_again() -> None:
    calls = Calls()
    calls.error = lambda names: rejection(400) if len(names) == 3 else None
    leaving, *staying = (asyncio.ensure_future(calls.ask(name)) for name in "abc")
    await asyncio.sleep(0.02)
    leaving.cancel()
    assert [one.body for one in await asyncio.gather(*staying)] == [b"b", b"c"]
    assert calls.names == ["abc", "bc"]


@in_virtual_time
async def test_the_breaker_counts_a_failure_through_an_item_that_is_still_there() -> None:
    calls = Calls()
    calls.error = lambda names: Unavailable("down")
    leaving, *staying = (asyncio.ensure_future(calls.ask(name)) for name in "abc")
    await asyncio.sleep(0.02)
    leaving.cancel()
    found = await asyncio.gather(*staying, return_exceptions=True)
    assert [isinstance(one, UpstreamError) and one.hurts_breaker for one in found] == [True, False]


@in_virtual_time
async def test_each_keeps_its_own_total_clock() -> None:
    calls = Calls(takes_s=1.0)
    soon = asyncio.get_running_loop().time() + 0.5
    found = await asyncio.gather(calls.ask("a", total_at=soon), calls.ask("b"), return_exceptions=True)
    error, result = found
    assert isinstance(error, UpstreamTimeout) and error.error_code == "total_timeout" and not error.hurts_breaker
    assert isinstance(result, Response) and result.body == b"b"
    assert calls.cancelled == []


@in_virtual_time
async def test_where_every_clock_has_run_out_the_call_ends() -> None:
    calls = Calls(takes_s=100.0)
    soon = asyncio.get_running_loop().time() + 0.5
    assert await calls.outcomes("ab", total_at=soon) == ["UpstreamTimeout"] * 2
    await asyncio.sleep(0)
    assert calls.cancelled == ["ab"]
    await calls.come_to_rest()
