"""The order of waiting items: classes by priority, and within a class fair shares for tenants.

Within a class: weighted deficit round robin (M. Shreedhar and G. Varghese, "Efficient Fair Queuing Using Deficit Round
Robin", IEEE/ACM Transactions on Networking 4(3), 1996). In every round each tenant is credited its weight. A tenant's first
item is served in the round in which the credit covers the item's cost, and the rest of the credit is kept for the next item. So
while two tenants wait, what they have been served differs, per unit of weight, by at most the dearest item of each and one
round's credit. Within a tenant, items keep the order of arrival.

The quantum is a single unit of cost, so that a cheap item never waits while others are served a dear item's worth. Rounds in
which no item can be served are not run one by one: arithmetic skips them, with a heap of the rounds in which tenants are due.

| event                       | credit of the tenant                                  | round in which the tenant is due           |
|-----------------------------|-------------------------------------------------------|--------------------------------------------|
| first item                  | 0                                                     | the next round or later                    |
| another item                | unchanged                                             | unchanged                                  |
| first item served           | less its cost                                         | this round if the credit covers the next   |
|                             |                                                       | item, else computed                        |
| first item removed          | kept, at most the cost of the item behind it          | computed                                   |
| last item served or removed | dropped: an idle tenant saves no credit               | none                                       |

The odd case: without that cap a tenant could let a dear item gather credit, remove the item and spend the credit on many
cheap items at once.

Between classes: the highest class goes first, but a class that has been skipped `MAX_SKIPS` times in a row is next. If that
is true of two classes, the one that has been skipped more often is next; of equals, the lower one.
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
    order: int  # of joining: decides among tenants that are due in the same round
    weight: int
    round: int
    due: int = 0  # the round in which its first item is served
    credit: int = 0
    total: int = 0  # cost of all items
    costs: OrderedDict[T, int] = field(default_factory=OrderedDict)

    def settle(self, now: int) -> None:
        """Add the credit of the rounds up to `now`."""
        self.credit += (now - self.round) * self.weight
        self.round = now

    def round_covering(self, cost: int) -> int:
        """Return the round in which the credit covers `cost`."""
        return self.round + max(0, -((self.credit - cost) // self.weight))


class _PriorityClass(Generic[T]):
    """The tenants' queues of one priority. A tenant's queue is here exactly while it has items."""

    def __init__(self) -> None:
        self.queues: dict[str, _TenantQueue[T]] = {}
        self.size = 0
        self.skips = 0  # services of other classes in a row while this class had items
        self._round = 0  # of the last service
        self._joined = 0
        self._due: list[tuple[int, int, str]] = []  # heap of (due, order, tenant); outdated entries stay for a while

    def push(self, item: T, tenant: str, weight: int, cost: int) -> _TenantQueue[T]:
        queue = self.queues.get(tenant)
        if queue is None:
            self._joined += 1
            queue = self.queues[tenant] = _TenantQueue(tenant, self._joined, weight, self._round)
        queue.costs[item] = cost
        queue.total += cost
        self.size += 1
        if len(queue.costs) == 1 or weight != queue.weight:
            queue.settle(self._round)
            queue.weight = weight
            self._schedule(queue)
        return queue

    def pop(self) -> T:
        queue = self._pop_due()
        item, cost = queue.costs.popitem(last=False)
        self._round = queue.due
        queue.settle(queue.due)
        queue.credit -= cost
        self._removed(queue, cost)
        return item

    def remove(self, item: T, queue: _TenantQueue[T]) -> None:
        was_first = next(iter(queue.costs)) == item
        cost = queue.costs.pop(item)
        if was_first and queue.costs:
            queue.settle(self._round)
            queue.credit = min(queue.credit, next(iter(queue.costs.values())))
        self._removed(queue, cost, has_new_first=was_first)

    def round_of_newcomer(self, tenant: str, weight: int, cost: int) -> int:
        """Return the round in which an item of this cost would be served if it were pushed now."""
        queue = self.queues.get(tenant)
        if queue is None:
            return self._round - (-cost // weight)
        return queue.round_covering(queue.total + cost)

    def _pop_due(self) -> _TenantQueue[T]:
        while True:
            due, order, tenant = heappop(self._due)
            queue = self.queues.get(tenant)
            if queue is not None and queue.order == order and queue.due == due:
                return queue

    def _removed(self, queue: _TenantQueue[T], cost: int, *, has_new_first: bool = True) -> None:
        queue.total -= cost
        self.size -= 1
        if not queue.costs:
            del self.queues[queue.tenant]
        elif has_new_first:
            self._schedule(queue)

    def _schedule(self, queue: _TenantQueue[T]) -> None:
        queue.due = queue.round_covering(next(iter(queue.costs.values())))
        heappush(self._due, (queue.due, queue.order, queue.tenant))
        if len(self._due) > 2 * len(self.queues) + 16:  # tenants that come and leave unserved must not fill the heap
            self._due = [(one.due, one.order, one.tenant) for one in self.queues.values()]
            heapify(self._due)


class FairQueue(Generic[T]):
    """Waiting items, hashable and each in the queue once. Pure: timeouts are the caller's matter.

    A tenant's items in several classes are separate queues. `weight` and `cost` are 1 or more; the weight of a tenant is the
    one that was pushed last.
    """

    def __init__(self) -> None:
        self._classes: dict[Priority, _PriorityClass[T]] = {priority: _PriorityClass() for priority in CLASSES}
        self._places: dict[T, tuple[_PriorityClass[T], _TenantQueue[T]]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def push(self, item: T, tenant: str, weight: int, cost: int, priority: Priority) -> None:
        """Add `item` behind the other items of its tenant."""
        one = self._classes[priority]
        self._places[item] = one, one.push(item, tenant, weight, cost)

    def pop(self) -> T:
        """Remove and return the next item. Raises IndexError if there is none."""
        waiting = [one for one in self._classes.values() if one.size]
        if not waiting:
            raise IndexError("the queue is empty")
        chosen = waiting[0]
        for one in waiting[1:]:
            if one.skips >= MAX_SKIPS and one.skips >= chosen.skips:
                chosen = one
        for one in waiting:
            one.skips += 1
        chosen.skips = 0
        item = chosen.pop()
        del self._places[item]
        return item

    def remove(self, item: T) -> bool:
        """Remove `item`; returns whether it was in the queue."""
        place = self._places.pop(item, None)
        if place is None:
            return False
        one, queue = place
        one.remove(item, queue)
        if not one.size:
            one.skips = 0
        return True

    def estimate_ahead(self, tenant: str, weight: int, cost: int, priority: Priority) -> int:
        """Estimate how many items would be served before an item pushed now, if no item came after it.

        Exact if each tenant's items cost the same, but for one item of every other tenant and the turns of other classes.
        """
        one = self._classes[priority]
        due = one.round_of_newcomer(tenant, weight, cost)
        ahead = 0
        for queue in one.queues.values():
            if queue.tenant == tenant:
                ahead += len(queue.costs)
            else:
                credit = queue.credit + (due - queue.round) * queue.weight
                ahead += min(len(queue.costs), len(queue.costs) * credit // queue.total)
        rank = CLASSES.index(priority)
        higher = sum(self._classes[higher].size for higher in CLASSES[:rank])
        ahead += min(higher, max(0, (ahead + 1) * MAX_SKIPS - one.skips))  # this class is served after so many skips
        return ahead + sum(min(self._classes[lower].size, ahead // MAX_SKIPS) for lower in CLASSES[rank + 1 :])

    def eviction_candidate(self, tenant: str, weight: int, priority: Priority) -> T | None:
        """Return the item to evict from a full queue for an item of `tenant`; None if the new item is to be refused.

        The candidate is the newest item of the tenant's queue that is longest for its weight; of equals, that of the lowest
        class. It is evicted only if its queue without it is still no shorter than the queue of `tenant` with one more. So two
        tenants never evict each other in turns.
        """
        own = self._classes[priority].queues.get(tenant)
        places = 1 if own is None else len(own.costs) + 1
        longest = max(
            (queue for priority in reversed(CLASSES) for queue in self._classes[priority].queues.values()),
            key=lambda queue: len(queue.costs) / queue.weight,
            default=None,
        )
        if longest is None or (len(longest.costs) - 1) * weight < places * longest.weight:
            return None
        return next(reversed(longest.costs))
