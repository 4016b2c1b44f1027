"""The error classifier: the fault that a provider's response means, by its status and by what its body says.

| status        | the body means (`error_body.py`) | fault          |
|---------------|----------------------------------|----------------|
| 2xx, 3xx      |                                  | malformed      |
| 400, 413, 422 | too long for the model           | context_length |
| 400, 403, 422 | refused by policy                | content_policy |
| 401, 403      | anything else                    | credential     |
| 429           | the credit is used up            | quota          |
| 429           | anything else                    | rate_limited   |
| other 4xx     |                                  | rejected       |
| 5xx           |                                  | server_error   |
| others        |                                  | malformed      |

Every kind of provider over HTTP shares this table; a kind may bring its own patterns for bodies.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    ProtocolError,
    QuotaUsedUp,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.providers.error_body import ErrorMeaning, ErrorPatterns
from gateway.providers.retry_after import rate_limit_wait_s, stated_wait_s

MEANINGS: Final[Mapping[int, frozenset[ErrorMeaning]]] = MappingProxyType(
    {
        400: frozenset({"context_length", "content_policy"}),
        403: frozenset({"content_policy"}),
        413: frozenset({"context_length"}),
        422: frozenset({"context_length", "content_policy"}),
        429: frozenset({"quota"}),
    }
)
"""What a body may mean beyond each status."""


def classify_response(
    patterns: ErrorPatterns, status: int, headers: Mapping[bytes, bytes], body: bytes, wall_s: float | None
) -> UpstreamError:
    """Return the error that a response with a status other than 200 means. `wall_s`: seconds since the epoch, to read dates."""
    error: UpstreamError
    meaning = patterns.meaning(body, MEANINGS[status]) if status in MEANINGS else None
    if status < 300 or status > 599:
        error = ProtocolError(f"the provider answered {status} where an answer was due")
    elif status < 400:
        error = ProtocolError("the provider answered with a redirect")
    elif meaning == "quota":
        error = QuotaUsedUp("the gateway's quota at the provider is used up")
    elif status == 429:
        error = UpstreamRateLimited("the provider is rate limited", retry_after_s=rate_limit_wait_s(headers, wall_s))
    elif status in (401, 403) and meaning is None:
        error = CredentialRefused("the provider refused the gateway's own credential")
    elif status < 500:
        error = _rejected(meaning, status, headers, body)
    else:
        wait_s = stated_wait_s(headers, wall_s)
        error = Unavailable(f"the provider answered {status}", status=status, retry_after_s=wait_s)
    error.upstream_status = status
    return error


def _rejected(meaning: ErrorMeaning | None, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Rejected:
    content_type, body = _forwardable(headers, body)
    if meaning == "context_length":
        message = "the request is too long for the model"
        return ContextTooLong(message, status=status, body=body, content_type=content_type)
    if meaning == "content_policy":
        message = "the provider's policy refuses the content"
        return ContentRefused(message, status=status, body=body, content_type=content_type)
    return Rejected("the provider rejected the request", status=status, body=body, content_type=content_type)


def _forwardable(headers: Mapping[bytes, bytes], body: bytes) -> tuple[str, bytes]:
    """Return the content type and body of a rejection as a client may get them: b"" for a body that is not the JSON it claims."""
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if not content_type.isascii() or not content_type.isprintable():
        return "", body
    if "json" in content_type:
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return content_type, b""
    return content_type, body
