"""Who is next among those that wait: classes by priority, and within a class fair shares for tenants.

Within a class: weighted deficit round robin (M. Shreedhar and G. Varghese, "Efficient Fair Queuing Using Deficit Round
Robin", IEEE/ACM Transactions on Networking 4(3), 1996). In every round each tenant is credited its weight; its first
item is served in the round in which the credit covers the cost, and what remains is kept for the next. So while two
tenants wait, what they got differs, per unit of weight, by no more than the dearest item of each and one round's credit,
and within a tenant the order is that of arrival. The quantum is a single unit of cost, so that a cheap item never waits for
a dear one's worth of others; rounds in which nobody can be served are not turned through but skipped by arithmetic, with
a heap of the rounds in which tenants are due.

| event                       | credit of the tenant                                       | its turn                      |
|-----------------------------|------------------------------------------------------------|-------------------------------|
| first item                  | 0                                                          | not before the next round     |
| another item                | unchanged                                                  | unchanged                     |
| first item served           | less its cost                                              | this round if it covers the   |
|                             |                                                            | next item, else as computed   |
| first item removed          | kept, but for what exceeds the cost of the item behind it  | as computed                   |
| last item served or removed | forgotten: nobody saves up while nobody waits              | none                          |

The odd case: without that cap a tenant could let a dear item gather credit, take it back and spend the credit on many
cheap ones at once.

Between classes: the highest goes first, but a class that has been passed over `MAX_SKIPS` times in a row is next; where
that is true of two, the one that has been passed over more often, then the lower one.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

from gateway.config.spec import Priority

MAX_SKIPS: Final = 15
CLASSES: Final[tuple[Priority, ...]] = ("high", "normal", "low")

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _TenantQueue(Generic[T]):
    """One tenant's items in one class, in their order, with their costs. `credit` is as of `round`."""

    tenant: str
    order: int  # of joining: who comes first among those due in one round
    weight: int
    round: int
    due: int = 0  # the round in which its first item is served
    credit: int = 0
    total: int = 0  # cost of all items
    costs: OrderedDict[T, int] = field(default_factory=OrderedDict)

    def settle(self, now: int) -> None:
        """Count the credit of the rounds up to `now`."""
        self.credit += (now - self.round) * self.weight
        self.round = now

    def due_for(self, cost: int) -> int:
        """Give the round in which the credit covers `cost`."""
        return self.round + max(0, -((self.credit - cost) // self.weight))


class _PriorityClass(Generic[T]):
    """The lines of one priority. A line is here exactly while it has items."""

    def __init__(self) -> None:
        self.lines: dict[str, _TenantQueue[T]] = {}
        self.size = 0
        self.passed_over = 0  # services of other classes in a row while this one waited
        self._round = 0  # of the last service
        self._joined = 0
        self._turns: list[tuple[int, int, str]] = []  # heap of (due, order, tenant); outdated ones stay a while

    def push(self, item: T, tenant: str, weight: int, cost: int) -> _TenantQueue[T]:
        line = self.lines.get(tenant)
        if line is None:
            self._joined += 1
            line = self.lines[tenant] = _TenantQueue(tenant, self._joined, weight, self._round)
        line.costs[item] = cost
        line.total += cost
        self.size += 1
        if len(line.costs) == 1 or weight != line.weight:
            line.settle(self._round)
            line.weight = weight
            self._set_due(line)
        return line

    def pop(self) -> T:
        line = self._next()
        item, cost = line.costs.popitem(last=False)
        self._round = line.due
        line.settle(line.due)
        line.credit -= cost
        self._taken(line, cost)
        return item

    def remove(self, item: T, line: _TenantQueue[T]) -> None:
        was_first = next(iter(line.costs)) == item
        cost = line.costs.pop(item)
        if was_first and line.costs:
            line.settle(self._round)
            line.credit = min(line.credit, next(iter(line.costs.values())))
        self._taken(line, cost, is_due_anew=was_first)

    def due(self, tenant: str, weight: int, cost: int) -> int:
        """Give the round in which an item of this cost would be served, were it the last of `tenant`."""
        line = self.lines.get(tenant)
        if line is None:
            return self._round - (-cost // weight)
        return line.due_for(line.total + cost)

    def _next(self) -> _TenantQueue[T]:
        while True:
            due, order, tenant = heappop(self._turns)
            line = self.lines.get(tenant)
            if line is not None and line.order == order and line.due == due:
                return line

    def _taken(self, line: _TenantQueue[T], cost: int, *, is_due_anew: bool = True) -> None:
        line.total -= cost
        self.size -= 1
        if not line.costs:
            del self.lines[line.tenant]
        elif is_due_anew:
            self._set_due(line)

    def _set_due(self, line: _TenantQueue[T]) -> None:
        line.due = line.due_for(next(iter(line.costs.values())))
        heappush(self._turns, (line.due, line.order, line.tenant))
        if len(self._turns) > 2 * len(self.lines) + 16:  # who comes and goes without being served must not fill it
            self._turns = [(one.due, one.order, one.tenant) for one in self.lines.values()]
            heapify(self._turns)


class FairQueue(Generic[T]):
    """Items that wait, each once and hashable. Pure: who waits for how long is the caller's matter.

    A tenant may have items in several classes; they are separate lines. `weight` and `cost` are 1 or more; a tenant's
    weight is the one that came last.
    """

    def __init__(self) -> None:
        self._classes: dict[Priority, _PriorityClass[T]] = {priority: _PriorityClass() for priority in CLASSES}
        self._places: dict[T, tuple[_PriorityClass[T], _TenantQueue[T]]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def push(self, item: T, tenant: str, weight: int, cost: int, priority: Priority) -> None:
        """Take `item` as the last of its tenant."""
        one = self._classes[priority]
        self._places[item] = one, one.push(item, tenant, weight, cost)

    def pop(self) -> T:
        """Give and forget the item that is next. Raises IndexError where there is none."""
        waiting = [one for one in self._classes.values() if one.size]
        if not waiting:
            raise IndexError("nobody waits")
        chosen = waiting[0]
        for one in waiting[1:]:
            if one.passed_over >= MAX_SKIPS and one.passed_over >= chosen.passed_over:
                chosen = one
        for one in waiting:
            one.passed_over += 1
        chosen.passed_over = 0
        item = chosen.pop()
        del self._places[item]
        return item

    def remove(self, item: T) -> bool:
        """Forget `item`; gives whether it was there."""
        place = self._places.pop(item, None)
        if place is None:
            return False
        one, line = place
        one.remove(item, line)
        if not one.size:
            one.passed_over = 0
        return True

    def estimate_ahead(self, tenant: str, weight: int, cost: int, priority: Priority) -> int:
        """Estimate how many would be served before an item pushed now, if nobody came after it.

        Exact where the items of each tenant cost the same, but for one of every other tenant and the turns of lower classes.
        """
        one = self._classes[priority]
        due = one.due(tenant, weight, cost)
        ahead = 0
        for line in one.lines.values():
            if line.tenant == tenant:
                ahead += len(line.costs)
            else:
                credit = line.credit + (due - line.round) * line.weight
                ahead += min(len(line.costs), len(line.costs) * credit // line.total)
        rank = CLASSES.index(priority)
        ahead += sum(self._classes[higher].size for higher in CLASSES[:rank])
        return ahead + sum(min(self._classes[lower].size, ahead // MAX_SKIPS) for lower in CLASSES[rank + 1 :])

    def eviction_candidate(self, tenant: str, weight: int, priority: Priority) -> T | None:
        """Give the item that should make place for one of `tenant` in a full queue; None where its own should not come in.

        It is the newest of the line that is longest for its weight (among equals that of the lowest class), if that line,
        less this item, is still no shorter than the line of `tenant` with one more. So two lines never drive each other out.
        """
        own = self._classes[priority].lines.get(tenant)
        places = 1 if own is None else len(own.costs) + 1
        longest = max(
            (line for priority in reversed(CLASSES) for line in self._classes[priority].lines.values()),
            key=lambda line: len(line.costs) / line.weight,
            default=None,
        )
        if longest is None or (len(longest.costs) - 1) * weight < places * longest.weight:
            return None
        return next(reversed(longest.costs))
