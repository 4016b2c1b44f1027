"""Several workers' endpoints as one page."""

from typing import Any

from msgspec.structs import replace

from gateway.runtime.endpoint_merge import merge_endpoints, unique_endpoints
from gateway.runtime.messages import Endpoints, EndpointStatus, Mean, PoolStatus

WELL = EndpointStatus(
    endpoint="web/big",
    provider="web",
    model="big",
    pools=("strong",),
    state="closed",
    retry_in_s=0.0,
    in_flight=2,
    first_token_s=Mean(0.2, 30.0),
    answer_s=Mean(),
    error_rate=Mean(0.0, 30.0),
    is_drained=False,
    is_healthy=True,
    key_refused=False,
    resting_s=0.0,
)
ILL = replace(
    WELL,
    state="open",
    retry_in_s=12.34567,
    in_flight=1,
    first_token_s=Mean(0.6, 10.0),
    error_rate=Mean(1.0, 10.0),
    is_healthy=False,
    key_refused=True,
    resting_s=3.0,
)


def only(parts: list[EndpointStatus], attempts: dict[tuple[str, ...], list[int | float]] | None = None) -> Any:
    (one,) = merge_endpoints([Endpoints(0, (part,), ()) for part in parts], attempts or {})["endpoints"]
    return one


def test_an_endpoint_shows_its_worst_its_sums_and_its_means() -> None:
    attempts: dict[tuple[str, ...], list[int | float]] = {
        ("web/big", "ok"): [7],
        ("web/big", "failed"): [2],
        ("web/big", "abandoned"): [1],
        ("web/other", "failed"): [100],
    }
    assert only([WELL, ILL], attempts) == {
        "endpoint": "web/big",
        "provider": "web",
        "model": "big",
        "pools": ["strong"],
        "state": "open",
        "retry_in_s": 12.346,
        "in_flight": 3,
        "first_token_s": 0.3,
        "answer_s": None,
        "error_rate": 0.25,
        "attempts": 10,
        "failures": 2,
        "is_drained": False,
        "is_healthy": False,
        "key_refused": True,
        "resting_s": 3.0,
    }


def test_open_is_worse_than_half_open_is_worse_than_closed() -> None:
    half_open = replace(WELL, state="half_open")
    assert only([half_open, ILL, WELL])["state"] == "open"
    assert only([WELL, half_open])["state"] == "half_open"


def test_one_that_nobody_has_asked_yet_has_no_means() -> None:
    fresh = replace(WELL, first_token_s=Mean(), error_rate=Mean())
    assert (only([fresh])["first_token_s"], only([fresh])["error_rate"], only([fresh])["attempts"]) == (None, None, 0)


def test_pools_are_added_up() -> None:
    parts = [
        Endpoints(0, (), (PoolStatus("a", 3, 1, 4), PoolStatus("b", 0, 0, None))),
        Endpoints(0, (), (PoolStatus("a", 2, 0, 4), PoolStatus("b", 0, 0, None))),
    ]
    assert merge_endpoints(parts, {})["pools"] == [
        {"pool": "a", "in_flight": 5, "waiting": 1, "max_inflight": 8},
        {"pool": "b", "in_flight": 0, "waiting": 0, "max_inflight": None},
    ]


def test_the_roster_has_each_endpoint_once_in_order() -> None:
    other = replace(WELL, endpoint="own/tiny")
    assert unique_endpoints([Endpoints(0, (WELL,), ()), Endpoints(0, (ILL, other), ())]) == [WELL, other]


def test_without_workers_the_page_is_empty() -> None:
    assert merge_endpoints([], {}) == {"endpoints": [], "pools": []}
