"""`consistent_hash`: what belongs together stays together."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.consistent_hash import ConsistentHash, digest
from gateway.pools.target import Target
from tests.support.targets import names, target

POOL = [target(name) for name in "abcde"]


def pick(candidates: Sequence[Target], affinity: str, balancer: ConsistentHash | None = None) -> Target:
    balancer = balancer or ConsistentHash(candidates, random.Random())
    return balancer.pick(candidates, RequestFacts(0.0, is_stream=True, affinity=affinity))


def test_the_same_affinity_goes_to_the_same_endpoint_in_any_order_of_candidates() -> None:
    for number in range(50):
        assert pick(POOL, f"c{number}") is pick(POOL[::-1], f"c{number}")


def test_every_endpoint_has_its_share() -> None:
    balancer = ConsistentHash(POOL, random.Random())
    picks = Counter(names([pick(POOL, f"conversation {number}", balancer)]) for number in range(10_000))
    assert all(1850 < picks[name] < 2150 for name in "abcde"), picks


def test_shares_go_by_weight() -> None:
    pool = [target("a", weight=1.0), target("b", weight=2.0), target("c", weight=7.0)]
    balancer = ConsistentHash(pool, random.Random())
    picks = Counter(names([pick(pool, f"{number}", balancer)]) for number in range(10_000))
    assert [round(picks[name] / 1000, 0) for name in "abc"] == [1, 2, 7], picks


def test_a_heavier_endpoint_only_wins_affinities() -> None:
    before = {f"{number}": pick(POOL, f"{number}").endpoint for number in range(500)}
    heavier = [target("a", endpoint=POOL[0].endpoint, weight=3.0), *POOL[1:]]
    for affinity, endpoint in before.items():
        assert pick(heavier, affinity).endpoint in (endpoint, POOL[0].endpoint)


def test_without_an_affinity_it_goes_by_turns() -> None:
    balancer = ConsistentHash(POOL, random.Random())
    assert names([pick(POOL, "", balancer) for _ in range(6)]) == "abcdea"


@pytest.mark.parametrize("affinity", ["\ud800", "\udcff broken", "\0", "ß" * 10_000])
def test_any_text_is_an_affinity(affinity: str) -> None:
    assert pick(POOL, affinity) in POOL


def test_another_process_agrees() -> None:
    """Python's own hash would not: it is seeded anew in each."""
    program = "from gateway.pools.balancers.consistent_hash import digest; print(digest('web/a'))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(result.stdout) == digest("web/a")


def test_another_version_agrees() -> None:
    """While replicas are updated, both versions must send a conversation the same way: these picks stay as they are."""
    assert names([pick(POOL, f"{number}") for number in range(20)]) == "acbecaadcceacceaddea"


def test_an_endpoint_is_known_by_the_name_that_it_has_at_its_first_request() -> None:
    """Endpoints with the same model get different names when a configuration takes effect, after balancers are made."""
    pool = [target("a"), target("a")]
    balancer = ConsistentHash(pool, random.Random())
    pool[1].endpoint.id = target("a#2").endpoint.id
    picks = Counter(pick(pool, f"{number}", balancer).endpoint.id for number in range(1000))
    assert picks["web/a"] > 400
    assert picks[pool[1].endpoint.id] > 400
    assert not ConsistentHash.supports_slow_start
