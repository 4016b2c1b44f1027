"""The paths of the public listener: which the gateway answers itself, and which it would never pass through."""

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
MODELS_PREFIX: Final = "/v1/models/"  # and all behind it
REALTIME: Final = (
    "/v1/realtime"  # and all behind it: WebSocket, and tokens with which clients would go past the gateway
)
REALTIME_UNSUPPORTED: Final = "realtime (WebSocket) is not proxied"


def is_gateway_path(path: str) -> bool:
    """Whether the gateway answers a path itself, with whatever method, and so passes it to nobody."""
    return path in GATEWAY_PATHS or path.startswith(MODELS_PREFIX)


def is_realtime_path(path: str) -> bool:
    """Whether a path belongs to what can't be proxied."""
    return path == REALTIME or path.startswith(f"{REALTIME}/")
