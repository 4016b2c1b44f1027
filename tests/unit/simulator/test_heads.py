"""Heads, and what stands in them beside the answer."""

import pytest

from gateway.providers.retry_after import rate_limit_wait_s
from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.heads import chat_headers, head, messages_headers, wants_pages


def pairs(lines: tuple[str, ...]) -> dict[bytes, bytes]:
    return {name.encode(): value.strip().encode() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("headers", [chat_headers, messages_headers])
def test_a_reset_can_be_read_by_who_must_wait_for_it(headers: object) -> None:
    assert callable(headers)
    for seconds in (0.25, 1.5, 90.5, 7200):
        told = headers(behaviour_of(f"sim-error429-reset_in{seconds}s"), 1_700_000_000, True)
        wait_s = rate_limit_wait_s(pairs(told), 1_700_000_000)
        assert wait_s is not None and seconds <= wait_s <= seconds + 1


@pytest.mark.parametrize("headers", [chat_headers, messages_headers])
def test_limits_are_told_where_wanted_and_never_twice(headers: object) -> None:
    assert callable(headers)
    few, all_of_them = (headers(behaviour_of(model), 0, False) for model in ("sim", "sim-limits"))
    assert set(few) < set(all_of_them)
    for lines in (few, all_of_them, headers(behaviour_of("sim-limits-reset_in1s"), 0, True)):
        assert len(pairs(lines)) == len(lines)


def test_an_answer_that_is_no_refusal_has_requests_left() -> None:
    told = pairs(chat_headers(behaviour_of("sim-reset_in9s"), 0, False))
    assert told[b"x-ratelimit-remaining-requests"] == b"4999"


def test_a_head_ends_in_an_empty_line() -> None:
    assert head(418, "a/b", ["x: y"]) == b"HTTP/1.1 418 Simulated\r\ncontent-type: a/b\r\nx: y\r\n\r\n"


def test_pages_are_for_those_who_name_a_version() -> None:
    assert wants_pages({"anthropic-version": "2023-06-01"}) and not wants_pages({})
