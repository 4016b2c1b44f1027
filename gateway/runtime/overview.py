"""What the admin surface shows and moves: the `Control` of `api.admin`, over the parts of the control process."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.observability.exposition import render
from gateway.observability.logging import iso_time
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.runtime.children import Children
from gateway.runtime.reload import Reloader
from gateway.runtime.workers import Workers


class Overview:
    """Reads the parts of control; owns none of them. `own`: the metrics of control itself."""

    def __init__(
        self,
        *,
        workers: Workers,
        children: Children,
        reloader: Reloader,
        merged: Merged,
        own: Metrics,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._workers = workers
        self._children = children
        self._reloader = reloader
        self._merged = merged
        self._metrics = own
        self._is_stopping = is_stopping

    async def metrics(self) -> bytes:
        """Give the exposition of all processes."""
        await self._workers.collect_metrics()
        self._merged.update("control", self._metrics.snapshot())
        return render(self._merged)

    async def health(self) -> dict[str, Any]:
        """Give whether all is well, the circuits, the servers that the gateway runs, and what is in flight."""
        answers = await self._workers.health()
        circuits = worst_circuits(answer.circuits for answer in answers)
        children = self._children.conditions()
        is_healthy = (
            all(state == "closed" for state in circuits.values())
            and "down" not in children.values()
            and self._workers.active == self._workers.wanted
        )
        return {
            "status": "healthy" if is_healthy else "degraded",
            "circuits": circuits,
            "servers": children,
            "in_flight": sum(answer.in_flight for answer in answers),
            **self._roll(),
        }

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Give whether requests are taken, and what still warms up."""
        is_ready = self._workers.active > 0 and not self._is_stopping()
        warming = sorted(name for name, condition in self._children.conditions().items() if condition == "warming")
        return is_ready, {"ready": is_ready, "warming": warming, "config": self._reloader.generation}

    def configuration(self) -> dict[str, Any]:
        """Give what is in force, and how the last reload ended."""
        reloader = self._reloader
        return {
            "generation": reloader.generation,
            "digest": reloader.current.spec.digest,
            "loaded_at": iso_time(reloader.loaded_at),
            "files": [str(file) for file in reloader.current.files],
            "last_reload": None if reloader.last is None else reloader.last.document(),
            **self._roll(),
        }

    async def reload(self) -> dict[str, Any]:
        """Read the files again; gives the outcome."""
        return (await self._reloader.request(is_explicit=True)).document()

    def _roll(self) -> dict[str, Any]:
        pids = self._workers.pids()
        return {"workers": {"active": self._workers.active, "wanted": self._workers.wanted, "pids": pids}}


def worst_circuits(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Merge what several workers say about the same endpoints: open before half-open before closed."""
    severity = ("closed", "half_open", "open")
    worst: dict[str, str] = {}
    for part in parts:
        for endpoint, state in part.items():
            worst[endpoint] = max(state, worst.get(endpoint, "closed"), key=severity.index)
    return worst
