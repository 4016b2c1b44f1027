"""Sticky conversations: a preference, kept for so many and for so long."""

from gateway.pools.sticky import MAX_KEY_CHARS, StickyMap
from tests.support.clock import FakeClock
from tests.support.targets import target

A, B = target("a"), target("b")


def test_the_endpoint_of_the_conversation_is_preferred(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("c1", B.endpoint)
    assert sticky.find("c1", [A, B]) is B
    assert sticky.find("c2", [A, B]) is None


def test_an_endpoint_that_is_not_eligible_is_passed_over_and_not_forgotten(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("c1", B.endpoint)
    assert sticky.find("c1", [A]) is None
    assert sticky.find("c1", [A, B]) is B


def test_the_endpoint_that_answered_last_is_remembered(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("c1", B.endpoint)
    sticky.remember("c1", A.endpoint)
    assert sticky.find("c1", [A, B]) is A
    assert len(sticky) == 1


def test_without_an_affinity_nothing_is_noted_or_preferred(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("", A.endpoint)
    assert len(sticky) == 0
    assert sticky.find("", [A]) is None


def test_another_target_of_the_endpoint_is_as_good(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("c1", A.endpoint)
    after_reload = target("a", endpoint=A.endpoint)
    assert sticky.find("c1", [B, after_reload]) is after_reload


def test_the_conversation_that_was_quiet_for_longest_makes_room(clock: FakeClock) -> None:
    sticky = StickyMap(clock, capacity=2)
    for affinity in ("c1", "c2", "c1", "c3"):
        sticky.remember(affinity, A.endpoint)
    assert len(sticky) == 2
    assert sticky.find("c2", [A]) is None
    assert sticky.find("c1", [A]) is sticky.find("c3", [A]) is A


def test_an_hour_after_the_last_answer_it_is_forgotten(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    sticky.remember("c1", A.endpoint)
    clock.advance(3600.0)
    assert sticky.find("c1", [A]) is A
    clock.advance(0.1)
    assert sticky.find("c1", [A]) is None


def test_what_is_forgotten_is_let_go_when_the_next_is_noted(clock: FakeClock) -> None:
    sticky = StickyMap(clock, forget_after_s=10.0)
    for number in range(5):
        sticky.remember(f"old {number}", A.endpoint)
    clock.advance(11.0)
    sticky.remember("new", A.endpoint)
    assert len(sticky) == 1


def test_an_answer_keeps_it_in_mind(clock: FakeClock) -> None:
    sticky = StickyMap(clock, forget_after_s=10.0)
    for _ in range(5):
        sticky.remember("c1", A.endpoint)
        clock.advance(9.0)
    assert sticky.find("c1", [A]) is A


def test_of_a_long_affinity_a_hash_is_kept(clock: FakeClock) -> None:
    sticky = StickyMap(clock)
    one, other = "x" * 100_000, "x" * 99_999 + "\ud800"
    sticky.remember(one, A.endpoint)
    assert sticky.find(one, [A]) is A
    assert sticky.find(other, [A]) is None
    assert all(len(key) <= MAX_KEY_CHARS for key in sticky._entries)
