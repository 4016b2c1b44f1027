"""Whose turn it is among those that wait."""

from collections.abc import Iterable

import pytest

from gateway.config.spec import Priority
from gateway.pools.fair_queue import MAX_SKIPS, FairQueue


def fill(
    queue: FairQueue[str],
    tenant: str,
    count: int,
    *,
    weight: int = 1,
    cost: int = 1,
    priority: Priority = "normal",
) -> None:
    """Push items `<tenant>0`, `<tenant>1`, …"""
    for number in range(count):
        queue.push(f"{tenant}{number}", tenant, weight, cost, priority)


def pops(queue: FairQueue[str], count: int) -> list[str]:
    return [queue.pop() for _ in range(count)]


def tenants(items: Iterable[str]) -> str:
    return "".join(item[0] for item in items)


def test_an_empty_queue_has_no_next_item() -> None:
    queue: FairQueue[str] = FairQueue()
    assert len(queue) == 0
    with pytest.raises(IndexError, match="the queue is empty"):
        queue.pop()


def test_one_tenant_is_served_in_order_of_arrival() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 4, cost=7)
    assert len(queue) == 4
    assert pops(queue, 4) == ["a0", "a1", "a2", "a3"]
    assert len(queue) == 0


def test_tenants_take_turns_whatever_they_have_waiting() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 100)
    fill(queue, "b", 3)
    assert tenants(pops(queue, 8)) == "abababaa"


def test_a_newcomer_waits_for_one_turn_of_a_flood() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "f", 1000, cost=10)
    pops(queue, 500)
    queue.push("q0", "q", 1, 10, "normal")
    assert "q0" in pops(queue, 2)


def test_those_due_at_the_same_time_are_served_in_the_order_in_which_they_joined() -> None:
    queue: FairQueue[str] = FairQueue()
    for tenant in "zyx":
        fill(queue, tenant, 1, cost=10)
    assert tenants(pops(queue, 3)) == "zyx"


def test_a_tenant_that_left_and_joined_again_comes_behind_those_that_stayed() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 1, cost=10)
    queue.remove("a0")
    fill(queue, "b", 1, cost=10)
    fill(queue, "a", 1, cost=10)
    assert pops(queue, 2) == ["b0", "a0"]


def test_shares_go_by_weight() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 90, weight=3, cost=10)
    fill(queue, "b", 90, weight=1, cost=10)
    served = tenants(pops(queue, 80))
    assert abs(served.count("a") - 60) <= 1


def test_shares_are_of_cost_not_of_requests() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 200, cost=10)
    fill(queue, "b", 200, cost=100)
    served = tenants(pops(queue, 110))
    assert abs(served.count("b") - 10) <= 1


def test_a_dear_request_of_another_tenant_causes_no_burst() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("x0", "x", 1, 100_000, "normal")
    fill(queue, "a", 50, cost=10)
    fill(queue, "b", 50, cost=10)
    served = tenants(pops(queue, 100))
    assert all(abs(served[:end].count("a") - served[:end].count("b")) <= 1 for end in range(100))
    assert queue.pop() == "x0"


def test_a_tenant_with_one_item_at_a_time_gets_no_more_than_a_share() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 100, weight=100, cost=100)
    fill(queue, "b", 1, weight=100, cost=100)
    served = ""
    for _ in range(50):
        item = queue.pop()
        served += item[0]
        if item == "b0":
            queue.push("b0", "b", 100, 100, "normal")
    assert abs(served.count("a") - served.count("b")) <= 1


def test_the_last_weight_holds() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 100, weight=1, cost=10)
    fill(queue, "b", 100, weight=1, cost=10)
    queue.push("a-last", "a", 4, 10, "normal")
    served = tenants(pops(queue, 50))
    assert abs(served.count("a") - 40) <= 1


def test_higher_classes_go_first() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "l", 2, priority="low")
    fill(queue, "n", 2, priority="normal")
    fill(queue, "h", 2, priority="high")
    assert tenants(pops(queue, 6)) == "hhnnll"


def test_a_lower_class_is_passed_over_so_often_and_no_more() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "h", 100, priority="high")
    fill(queue, "l", 3, priority="low")
    served = tenants(pops(queue, 3 * (MAX_SKIPS + 1)))
    assert served == ("h" * MAX_SKIPS + "l") * 3


def test_with_two_lower_classes_each_has_its_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "h", 100, priority="high")
    fill(queue, "n", 9, priority="normal")
    fill(queue, "l", 9, priority="low")
    assert tenants(pops(queue, 33)) == "h" * 15 + "ln" + "h" * 14 + "ln"


def test_a_class_that_was_empty_starts_to_count_anew() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "h", 100, priority="high")
    fill(queue, "l", 1, priority="low")
    pops(queue, MAX_SKIPS)
    assert queue.remove("l0")
    fill(queue, "l", 1, priority="low")
    assert queue.pop()[0] == "h"


def test_what_was_removed_is_not_served_and_its_followers_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 5)
    assert queue.remove("a0")
    assert queue.remove("a2")
    assert queue.remove("a4")
    assert not queue.remove("a4")
    assert not queue.remove("never")
    assert len(queue) == 2
    assert pops(queue, 2) == ["a1", "a3"]
    assert not queue.remove("a1"), "it was served"


def test_a_dear_request_taken_back_buys_no_burst() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a-dear", "a", 1, 1000, "normal")
    fill(queue, "a", 50, cost=10)
    fill(queue, "b", 200, cost=10)
    pops(queue, 90)
    assert queue.remove("a-dear")
    served = tenants(pops(queue, 60))
    assert abs(served.count("a") - served.count("b")) <= 2


def test_a_cheap_request_taken_back_brings_the_dear_one_behind_it_no_further() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a-cheap", "a", 1, 1, "normal")
    queue.push("a-dear", "a", 1, 100, "normal")
    fill(queue, "b", 9, cost=10)
    queue.remove("a-cheap")
    assert tenants(pops(queue, 9)) == "bbbbbbbbb"


def test_what_a_removed_request_has_waited_for_serves_the_one_behind_it() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a-dear", "a", 1, 1000, "normal")
    queue.push("a-cheap", "a", 1, 50, "normal")
    fill(queue, "b", 200, cost=10)
    pops(queue, 20)
    queue.remove("a-dear")
    assert "a-cheap" in pops(queue, 2)


def test_an_idle_tenant_saves_no_credit() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 1)
    fill(queue, "b", 1000, cost=10)
    pops(queue, 500)
    fill(queue, "a", 100, cost=10)
    assert abs(tenants(pops(queue, 40)).count("a") - 20) <= 1


def test_a_tenant_that_comes_and_goes_unserved_leaves_nothing_behind() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "f", 2, cost=5)
    for number in range(1000):
        queue.push("dear", "a", 1, 1000 + number, "normal")
        queue.remove("dear")
    assert len(queue._classes["normal"]._due) < 30
    assert pops(queue, 2) == ["f0", "f1"]


@pytest.mark.parametrize("waiting", [0, 1, 7])
def test_ahead_of_a_tenant_alone_are_its_own(waiting: int) -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", waiting, cost=10)
    assert queue.estimate_ahead("a", 1, 10, "normal") == waiting


def test_ahead_of_a_quiet_tenant_is_its_share_not_the_flood() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "f", 100, cost=10)
    assert queue.estimate_ahead("q", 1, 10, "normal") == 1
    assert queue.estimate_ahead("q", 1, 50, "normal") == 5
    assert queue.estimate_ahead("q", 2, 50, "normal") == 2
    assert queue.estimate_ahead("f", 1, 10, "normal") == 100


def test_ahead_are_all_higher_classes_and_now_and_then_a_lower_one() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "h", 30, priority="high")
    fill(queue, "l", 9, priority="low")
    assert queue.estimate_ahead("q", 1, 1, "high") == 1
    assert queue.estimate_ahead("h", 1, 1, "high") == 30 + 2
    assert queue.estimate_ahead("q", 1, 1, "normal") == 15 + 1  # a class is served after 15 skips
    assert queue.estimate_ahead("l", 1, 1, "low") == 30 + 9


def test_an_empty_queue_need_not_yield() -> None:
    assert FairQueue[str]().eviction_candidate("a", 1, "normal") is None


def test_the_newest_of_the_longest_line_yields_to_a_shorter_one() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 3)
    fill(queue, "b", 5)
    assert queue.eviction_candidate("c", 1, "normal") == "b4"
    assert queue.eviction_candidate("a", 1, "normal") == "b4"


def test_the_longest_line_does_not_grow_at_the_cost_of_others() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 3)
    fill(queue, "b", 5)
    assert queue.eviction_candidate("b", 1, "normal") is None


def test_lines_of_like_length_do_not_drive_each_other_out() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 4)
    fill(queue, "b", 5)
    assert queue.eviction_candidate("a", 1, "normal") is None
    lone: FairQueue[str] = FairQueue()
    fill(lone, "a", 1)
    assert lone.eviction_candidate("b", 1, "normal") is None


def test_length_counts_by_weight() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "a", 8, weight=4)
    fill(queue, "b", 3, weight=1)
    assert queue.eviction_candidate("c", 1, "normal") == "b2"
    assert queue.eviction_candidate("a", 4, "normal") is None, (
        "it has 2 for each unit of weight, b would be left with 2"
    )
    queue.push("b3", "b", 1, 1, "normal")
    assert queue.eviction_candidate("a", 4, "normal") == "b3"


def test_a_low_class_can_be_protected_from_a_high_one_and_yields_first_among_equals() -> None:
    queue: FairQueue[str] = FairQueue()
    fill(queue, "h", 5, priority="high")
    assert queue.eviction_candidate("l", 1, "low") == "h4"
    fill(queue, "l", 5, priority="low")
    assert queue.eviction_candidate("n", 1, "normal") == "l4"
