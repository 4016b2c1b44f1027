"""Heads of answers, with what providers send beside the answer and a gateway must not hand on unseen."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Final

from gateway.providers.simulator_behaviour import Behaviour

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

VERSION_HEADER: Final = "anthropic-version"  # who sends it wants lists of models in that vendor's shape

_CHAT_HEADERS: Final = (
    "server: simulator",
    "x-request-id: req-of-the-provider",
    "openai-organization: simulated-organization",
    "openai-processing-ms: 7",
    "set-cookie: simulator=secret; Path=/; HttpOnly",
)
_MESSAGES_HEADERS: Final = (
    "server: simulator",
    "request-id: req_of_the_provider",
    "anthropic-organization-id: simulated-organization",
    "set-cookie: simulator=secret; Path=/; HttpOnly",
)
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}
_REQUESTS: Final = 5000
_TOKENS: Final = 160_000


def head(status: int, content_type: str, more: Iterable[str]) -> bytes:
    """Give the head of an answer with the header lines `more`."""
    first = f"HTTP/1.1 {status} {_REASONS.get(status, 'Simulated')}"
    return "\r\n".join((first, f"content-type: {content_type}", *more, "", "")).encode()


def chat_headers(behaviour: Behaviour, created: int, is_refusal: bool) -> tuple[str, ...]:
    """Give OpenAI's own headers: resets are durations."""
    if is_refusal and behaviour.reset_in is not None:
        remaining, reset = 0, _duration(behaviour.reset_in)
    else:
        remaining, reset = _REQUESTS - 1, "12ms"
    limits: tuple[str, ...] = (f"x-ratelimit-remaining-requests: {remaining}",)
    if behaviour.limits or remaining == 0:
        limits += (
            f"x-ratelimit-limit-requests: {_REQUESTS}",
            f"x-ratelimit-reset-requests: {reset}",
            f"x-ratelimit-limit-tokens: {_TOKENS}",
            f"x-ratelimit-remaining-tokens: {_TOKENS - 16}",
            "x-ratelimit-reset-tokens: 6ms",
        )
    return _CHAT_HEADERS + limits


def messages_headers(behaviour: Behaviour, created: int, is_refusal: bool) -> tuple[str, ...]:
    """Give Anthropic's own headers: resets are dates, counted from `created` (seconds since the epoch)."""
    if is_refusal and behaviour.reset_in is not None:
        remaining, reset = 0, _date(created + behaviour.reset_in)
    else:
        remaining, reset = _REQUESTS - 1, _date(created)
    limits: tuple[str, ...] = (f"anthropic-ratelimit-requests-remaining: {remaining}",)
    if behaviour.limits or remaining == 0:
        limits += (
            f"anthropic-ratelimit-requests-limit: {_REQUESTS}",
            f"anthropic-ratelimit-requests-reset: {reset}",
        )
        for kind in ("tokens", "input-tokens", "output-tokens"):
            limits += (
                f"anthropic-ratelimit-{kind}-limit: {_TOKENS}",
                f"anthropic-ratelimit-{kind}-remaining: {_TOKENS - 16}",
                f"anthropic-ratelimit-{kind}-reset: {_date(created)}",
            )
    return _MESSAGES_HEADERS + limits


def wants_pages(headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes from a client of the vendor that gives its lists in pages."""
    return VERSION_HEADER in headers


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes:.0f}m" if minutes else "") + f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(ceil(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
