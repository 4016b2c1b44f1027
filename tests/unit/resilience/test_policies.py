"""Settings merged over their levels: field by field, the last that names one wins, and `none` switches off."""

import pytest

from gateway.config.spec import BreakerSpec, HedgeSpec, KeepaliveSpec, Policy, QueueSpec, RetrySpec
from gateway.resilience.policies import NO_RETRY, Policies, merge


def test_what_nobody_names_is_built_in() -> None:
    assert merge() == merge(Policy(), Policy()) == Policies()
    assert merge().hedge is None
    assert merge().retry == RetrySpec()


def test_fields_are_merged_one_by_one() -> None:
    merged = merge(
        Policy(given={"retry": {"attempts": 5, "budget": 0.1}}),
        Policy(given={"retry": {"budget": 0.3}}),
        Policy(given={"retry": {"backoff_s": 0.5}}),
    )
    assert merged.retry == RetrySpec(attempts=5, budget=0.3, backoff_s=0.5)


def test_lists_replace() -> None:
    merged = merge(Policy(given={"retry": {"when": ["connect"]}}), Policy(given={"retry": {"when": ["server_error"]}}))
    assert merged.retry == RetrySpec(when=("server_error",))


KINDS = {
    "breaker": (BreakerSpec, {"failures": 9}),
    "keepalive": (KeepaliveSpec, {"every_s": 9.0}),
    "retry": (RetrySpec, {"attempts": 9}),
    "hedge": (HedgeSpec, {"after_s": 9.0}),
    "queue": (QueueSpec, {"max": 9}),
}


@pytest.mark.parametrize("name", KINDS)
def test_none_switches_off_and_a_later_level_on_again_from_the_built_in_values(name: str) -> None:
    kind, fields = KINDS[name]
    named, off = Policy(given={name: fields}), Policy(given={name: None})
    assert getattr(merge(named), name) == kind(**fields)
    assert getattr(merge(named, off), name) is None
    assert getattr(merge(named, off, Policy()), name) is None
    assert getattr(merge(Policy(given={name: {}}), off, named), name) == kind(**fields)


@pytest.mark.parametrize(
    ("name", "general", "particular"),
    [
        ("max_inflight", 5, None),
        ("balance", "ewma", "p2c"),
        ("hash_by", "tenant", "header:x"),
        ("sticky", None, "conversation"),
        ("all_open", "soonest", "reject"),
    ],
)
def test_single_values_are_the_last_ones_named(name: str, general: object, particular: object) -> None:
    levels = Policy(given={name: general}), Policy(given={name: particular}), Policy()
    assert getattr(merge(*levels), name) == particular


def test_clocks_are_merged_beside_the_others() -> None:
    merged = merge(Policy(timeout={"total": 5.0}), Policy(timeout={"idle": None}, given={"retry": None}))
    assert (merged.timeouts.total_s, merged.timeouts.idle_s, merged.retry) == (5.0, None, None)


def test_no_retry_is_one_attempt() -> None:
    assert (NO_RETRY.attempts, NO_RETRY.when) == (1, ())
