"""`/health` and `/ready`: what orchestrators and people ask a worker."""

from typing import Any

from gateway.pools.rotation import NEEDS_ATTENTION
from gateway.snapshot import Services


def health(services: Services) -> dict[str, Any]:
    """Say `healthy` while every circuit is closed and nothing is ill, else `degraded`; and how each endpoint stands.

    What the operator has drained and what rests because a provider asked for it is `out` too, but no illness.
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
    """Give 200 while new requests are welcome, else 503; with what still warms up and the configuration's generation."""
    body = {
        "ready": not services.draining,
        "warming": services.managed_servers.warming,
        "config": services.snapshot.generation,
    }
    return (503 if services.draining else 200), body
