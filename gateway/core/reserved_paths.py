"""Paths of the public listener that are never passed through: those that the gateway serves itself, and realtime."""

from typing import Final

GATEWAY_PATHS: Final = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/models",
    }
)
MODELS_PREFIX: Final = "/v1/models/"  # and every path below it
# With every path below it: WebSocket, and tokens with which clients would bypass the gateway.
REALTIME: Final = "/v1/realtime"
REALTIME_UNSUPPORTED: Final = "realtime (WebSocket) is not proxied"


def is_gateway_path(path: str) -> bool:
    """Whether the gateway serves a path itself, for any method, and so never passes it through."""
    return path in GATEWAY_PATHS or path.startswith(MODELS_PREFIX)


def is_realtime_path(path: str) -> bool:
    """Whether a path belongs to the realtime API, which is not proxied."""
    return path == REALTIME or path.startswith(f"{REALTIME}/")
