"""`/health` and `/ready`: what orchestrators and people ask a worker."""

from typing import Any

from gateway.snapshot import Services


def health(services: Services) -> dict[str, Any]:
    """Say `healthy` while every circuit is closed, else `degraded`; and each circuit's state."""
    circuits = services.circuits()
    is_healthy = all(state == "closed" for state in circuits.values()) and not services.children.down
    return {"status": "healthy" if is_healthy else "degraded", "circuits": circuits, "down": services.children.down}


def ready(services: Services) -> tuple[int, dict[str, Any]]:
    """Give 200 while new requests are welcome, else 503; with what still warms up and the configuration's generation."""
    body = {
        "ready": not services.draining,
        "warming": services.children.warming,
        "config": services.snapshot.generation,
    }
    return (503 if services.draining else 200), body
