"""The admin API's view of the gateway: the `Control` of `api.admin`, over the parts of the control process."""

import logging
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from gateway.core.errors import NoCapacity, NotFound
from gateway.observability.exposition import render
from gateway.observability.logging import iso_time
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.pools.rotation import NEEDS_ATTENTION
from gateway.runtime.drained_endpoints import DrainedEndpoints, UnknownName
from gateway.runtime.endpoint_merge import SEVERITY, merge_endpoints, unique_endpoints
from gateway.runtime.managed_servers import ManagedServers
from gateway.runtime.reload import Reloader
from gateway.runtime.workers import Workers

log = logging.getLogger(__name__)


class Overview:
    """Reads the parts of control, and owns none of them. `own`: the metrics of control itself."""

    def __init__(
        self,
        *,
        workers: Workers,
        children: ManagedServers,
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
        self._drained = DrainedEndpoints()

    async def metrics(self) -> bytes:
        """Return the metrics of all processes as Prometheus text."""
        await self._workers.collect_metrics()
        self._merged.update("control", self._metrics.snapshot())
        return render(self._merged)

    async def health(self) -> dict[str, Any]:
        """Return the overall status, circuits, endpoints out of rotation, managed servers, and requests in flight."""
        answers = await self._workers.health()
        circuits = worst_circuits(answer.circuits for answer in answers)
        out = {endpoint: reason for answer in answers for endpoint, reason in answer.out.items()}
        children = self._children.conditions()
        is_healthy = (
            all(state == "closed" for state in circuits.values())
            and "down" not in children.values()
            and NEEDS_ATTENTION.isdisjoint(out.values())
            and self._workers.active == self._workers.wanted
        )
        return {
            "status": "healthy" if is_healthy else "degraded",
            "circuits": circuits,
            "out": out,
            "servers": children,
            "in_flight": sum(answer.in_flight for answer in answers),
            **self._worker_counts(),
        }

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether requests are taken, and which managed servers still warm up."""
        is_ready = self._workers.active > 0 and not self._is_stopping()
        warming = sorted(name for name, condition in self._children.conditions().items() if condition == "warming")
        return is_ready, {"ready": is_ready, "warming": warming, "config": self._reloader.generation}

    def configuration(self) -> dict[str, Any]:
        """Return the configuration in force, and the outcome of the last reload."""
        reloader = self._reloader
        return {
            "generation": reloader.generation,
            "digest": reloader.current.spec.digest,
            "loaded_at": iso_time(reloader.loaded_at),
            "files": [str(file) for file in reloader.current.files],
            "last_reload": None if reloader.last is None else reloader.last.document(),
            **self._worker_counts(),
        }

    async def reload(self) -> dict[str, Any]:
        """Read the files again. Return the outcome."""
        return (await self._reloader.request(is_explicit=True)).document()

    async def endpoints(self) -> dict[str, Any]:
        """Return every endpoint and pool, merged over all workers."""
        answers = await self._workers.endpoints()
        await self._workers.collect_metrics()
        return merge_endpoints(answers, self._merged.samples()["gateway_attempts_total"])

    async def drain(self, name: str) -> dict[str, Any]:
        """Stop sending new requests to an endpoint, or to all of a provider; running ones finish. Raise NotFound."""
        return await self._set_rotation("drained", name)

    async def enable(self, name: str) -> dict[str, Any]:
        """Undo a drain, and reset everything but the breaker that keeps the endpoint out of rotation. Raise NotFound."""
        return await self._set_rotation("enabled", name)

    async def _set_rotation(self, action: Literal["drained", "enabled"], name: str) -> dict[str, Any]:
        known = unique_endpoints(await self._workers.endpoints())
        if not known:
            raise NoCapacity("no worker answers now", retry_after_s=1.0)
        try:
            touched = self._drained.add(name, known) if action == "drained" else self._drained.remove(name, known)
        except UnknownName:
            names = dict.fromkeys(name for one in known for name in (one.endpoint, one.provider))
            raise NotFound(f"there is no endpoint or provider {name!r}{_suggestion(name, list(names))}") from None
        count = await self._workers.drain(self._drained.names, (name,) if action == "enabled" else ())
        log.info(f"endpoints {action} by the operator", extra={"endpoints": touched, "workers": count})
        return {"endpoints": touched, "active": count, "workers": self._workers.wanted}

    def _worker_counts(self) -> dict[str, Any]:
        pids = self._workers.pids()
        return {"workers": {"active": self._workers.active, "wanted": self._workers.wanted, "pids": pids}}


def worst_circuits(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Merge the circuits of several workers: open before half-open before closed."""
    worst: dict[str, str] = {}
    for part in parts:
        for endpoint, state in part.items():
            worst[endpoint] = max(state, worst.get(endpoint, "closed"), key=SEVERITY.index)
    return worst


def _suggestion(name: str, known: list[str]) -> str:
    """Return a question with the closest known name, "" where none is close."""
    close = get_close_matches(name[:80], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
