"""`/health` and `/ready` of a worker, for orchestrators and operators."""

from typing import Any

from gateway.pools.rotation import NEEDS_ATTENTION
from gateway.snapshot import Services


def health(services: Services) -> dict[str, Any]:
    """Return `healthy` if every breaker is closed and no endpoint or server is down, otherwise `degraded`, with details.

    Endpoints that are drained, or that pause at their provider's request, are `out` but do not count as unhealthy.
    """
    circuits, out = services.circuits(), services.rotation.reasons_out_of_rotation()
    is_healthy = (
        all(state == "closed" for state in circuits.values())
        and NEEDS_ATTENTION.isdisjoint(out.values())
        and not services.managed_servers.down
    )
    return {
        "status": "healthy" if is_healthy else "degraded",
        "circuits": circuits,
        "out": out,
        "down": services.managed_servers.down,
    }


def ready(services: Services) -> tuple[int, dict[str, Any]]:
    """Return 200 while new requests are accepted, otherwise 503; with the servers still starting and the config generation."""
    body = {
        "ready": not services.draining,
        "warming": services.managed_servers.warming,
        "config": services.snapshot.generation,
    }
    return (503 if services.draining else 200), body
