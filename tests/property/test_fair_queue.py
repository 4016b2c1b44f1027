"""The fair queue over any order of arrivals, services and withdrawals."""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.spec import Priority
from gateway.pools.fair_queue import MAX_SKIPS, FairQueue

PRIORITY: dict[str, Priority] = {"a": "normal", "b": "normal", "c": "normal", "h": "high", "l": "low", "m": "low"}
TENANTS = sorted(PRIORITY)
WEIGHTS = st.fixed_dictionaries({tenant: st.sampled_from([1, 1, 2, 5, 40]) for tenant in TENANTS})
COSTS = st.one_of(st.integers(1, 12), st.integers(1, 5000))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(TENANTS), COSTS),
        st.tuples(st.just("push"), st.sampled_from(["a", "b"]), COSTS),
        st.tuples(st.just("pop"), st.just(""), st.just(0)),
        st.tuples(st.just("remove"), st.sampled_from(TENANTS), st.integers(0, 30)),
    ),
    max_size=150,
)
thorough = settings(max_examples=200, deadline=None, derandomize=True)


@dataclass
class Book:
    """What should be in the queue, and what each pair got since both have been waiting without a break."""

    weights: dict[str, int]
    waiting: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))  # (number, cost)
    got: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    dearest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    passed_over: dict[Priority, int] = field(default_factory=lambda: defaultdict(int))

    def begin(self) -> None:
        """Count for every pair of one class that both wait, and for no other."""
        for pair in combinations(TENANTS, 2):
            one, other = pair
            if PRIORITY[one] == PRIORITY[other] and self.waiting[one] and self.waiting[other]:
                self.got.setdefault(pair, [0, 0])
            else:
                self.got.pop(pair, None)

    def forget(self, tenant: str) -> None:
        """Count anew for a tenant: what it had withdrawn had gathered credit that is lost."""
        self.got = {pair: got for pair, got in self.got.items() if tenant not in pair}

    def served(self, tenant: str, cost: int) -> None:
        for (one, other), got in self.got.items():
            if tenant in (one, other):
                got[tenant == other] += cost
                shares = Fraction(got[0], self.weights[one]) - Fraction(got[1], self.weights[other])
                bound = sum(Fraction(self.dearest[each], self.weights[each]) for each in (one, other)) + 1
                assert abs(shares) <= bound, (one, other, got)
        mine = PRIORITY[tenant]
        for priority in {PRIORITY[each] for each in TENANTS if self.waiting[each]} | {mine}:
            self.passed_over[priority] = 0 if priority == mine else self.passed_over[priority] + 1
            assert self.passed_over[priority] <= MAX_SKIPS + 1


@thorough
@given(weights=WEIGHTS, steps=STEPS)
def test_nothing_is_lost_doubled_or_out_of_order_and_shares_are_fair(
    weights: dict[str, int], steps: list[tuple[str, str, int]]
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    book = Book(weights)
    number = 0

    def pop() -> None:
        tenant, popped = queue.pop()
        (first, cost) = book.waiting[tenant].pop(0)
        assert popped == first, "not the oldest of its tenant"
        book.served(tenant, cost)

    for step, tenant, amount in steps:
        line = book.waiting[tenant]
        if step == "push":
            number += 1
            line.append((number, amount))
            book.dearest[tenant] = max(book.dearest[tenant], amount)
            queue.push((tenant, number), tenant, weights[tenant], amount, PRIORITY[tenant])
        elif step == "remove" and amount < len(line):
            removed, _ = line.pop(amount)
            assert queue.remove((tenant, removed))
            assert not queue.remove((tenant, removed))
            if amount == 0:
                book.forget(tenant)
            if not any(book.waiting[each] for each in TENANTS if PRIORITY[each] == PRIORITY[tenant]):
                book.passed_over[PRIORITY[tenant]] = 0
        elif step == "pop" and len(queue):
            pop()
        book.begin()
        assert len(queue) == sum(map(len, book.waiting.values()))
    while len(queue):
        pop()
        book.begin()
    assert not any(book.waiting.values())


@thorough
@given(
    weights=WEIGHTS,
    costs=st.fixed_dictionaries(dict.fromkeys(TENANTS, COSTS)),
    counts=st.fixed_dictionaries({tenant: st.integers(0, 20) for tenant in TENANTS}),
    served=st.integers(0, 30),
    tenant=st.sampled_from(TENANTS),
)
def test_the_place_of_a_newcomer_is_known_in_advance(
    weights: dict[str, int], costs: dict[str, int], counts: dict[str, int], served: int, tenant: str
) -> None:
    queue: FairQueue[str] = FairQueue()
    for each in TENANTS:
        for number in range(counts[each]):
            queue.push(f"{each}{number}", each, weights[each], costs[each], PRIORITY[each])
    for _ in range(min(served, len(queue))):
        queue.pop()
    expected = queue.estimate_ahead(tenant, weights[tenant], costs[tenant], PRIORITY[tenant])
    queue.push("newcomer", tenant, weights[tenant], costs[tenant], PRIORITY[tenant])
    ahead = 0
    while queue.pop() != "newcomer":
        ahead += 1
    slack = 2 + 3  # one of every other tenant of the class; turns of, and for, lower classes that had begun
    assert abs(ahead - expected) <= slack


@thorough
@given(
    bound=st.integers(1, 12),
    weights=WEIGHTS,
    arrivals=st.lists(st.sampled_from([*TENANTS, "a", "a", "a", "a"]), max_size=120),
)
def test_an_eviction_leaves_a_queue_no_shorter_than_the_newcomers(
    bound: int, weights: dict[str, int], arrivals: list[str]
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    lengths = dict.fromkeys(TENANTS, 0)
    for number, tenant in enumerate(arrivals):
        if len(queue) >= bound:
            yielding = queue.eviction_candidate(tenant, weights[tenant], PRIORITY[tenant])
            if yielding is None:
                most = max(Fraction(lengths[each], weights[each]) for each in TENANTS)
                assert any(
                    Fraction(lengths[each] - 1, weights[each]) < Fraction(lengths[tenant] + 1, weights[tenant])
                    for each in TENANTS
                    if Fraction(lengths[each], weights[each]) == most
                )
                continue
            other = yielding[0]
            assert other != tenant
            assert Fraction(lengths[other] - 1, weights[other]) >= Fraction(lengths[tenant] + 1, weights[tenant])
            lengths[other] -= 1
            assert queue.remove(yielding)
        queue.push((tenant, number), tenant, weights[tenant], 1, PRIORITY[tenant])
        lengths[tenant] += 1
        assert len(queue) <= bound
