"""The paths of the public listener: which the gateway answers itself, and which it would never pass through."""

from typing import Final

OWN: Final = frozenset(
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
MODELS: Final = "/v1/models/"  # and all behind it
REALTIME: Final = (
    "/v1/realtime"  # and all behind it: WebSocket, and tokens with which clients would go past the gateway
)
NO_REALTIME: Final = "realtime (WebSocket) is not proxied"


def is_own(path: str) -> bool:
    """Whether the gateway answers a path itself, with whatever method, and so passes it to nobody."""
    return path in OWN or path.startswith(MODELS)


def is_realtime(path: str) -> bool:
    """Whether a path belongs to what can't be proxied."""
    return path == REALTIME or path.startswith(f"{REALTIME}/")
