"""The error classifier: the fault that a provider's response means, by its status and by what its body says.

| status                         | the body means (`error_body.py`)                       | fault          |
|--------------------------------|--------------------------------------------------------|----------------|
| 2xx, 3xx                       |                                                        | malformed      |
| any 4xx or 5xx                 | the account is out of money or quota                   | quota          |
| 402                            | anything else                                          | quota          |
| 400, 422                       | the gateway's key is refused                           | credential     |
| 401, 403                       | anything but the rows around this one                  | credential     |
| 400, 403, 404, 410, 422        | the model is gone, and the configuration names it      | model_gone     |
| 400, 413, 422                  | too long for the model                                 | context_length |
| 400, 403, 422                  | refused by policy                                      | content_policy |
| 429                            | anything else                                          | rate_limited   |
| 408, 409, 425                  | anything else                                          | transient      |
| other 4xx                      | anything else, with `x-should-retry: true`             | transient      |
| other 4xx                      | anything else                                          | rejected       |
| 5xx                            | anything else                                          | server_error   |
| others                         |                                                        | malformed      |

408 and 409 are retried by the official clients of OpenAI and Anthropic, which also obey `x-should-retry`; 425 is RFC 8470.
`x-should-retry: false` keeps a request from the endpoint that sent it; others may be tried.

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
    ModelGone,
    ProtocolError,
    QuotaUsedUp,
    Rejected,
    Transient,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.provider_error import provider_words, read_provider_error
from gateway.observability.logging import redact
from gateway.providers.error_body import ErrorMeaning, ErrorPatterns
from gateway.providers.retry_after import rate_limit_wait_s, stated_wait_s

_ALL: Final[frozenset[ErrorMeaning]] = frozenset(
    {"credential", "quota", "model_gone", "context_length", "content_policy"}
)
_QUOTA: Final[frozenset[ErrorMeaning]] = frozenset({"quota"})
MEANINGS: Final[Mapping[int, frozenset[ErrorMeaning]]] = MappingProxyType(
    {
        400: _ALL,
        403: frozenset({"quota", "model_gone", "content_policy"}),
        404: frozenset({"quota", "model_gone"}),
        410: frozenset({"quota", "model_gone"}),
        413: frozenset({"quota", "context_length"}),
        422: _ALL,
    }
)
"""What a body may mean beyond each status; beyond every other one `_QUOTA`."""

TRANSIENT: Final = frozenset({408, 409, 425})
_SHOULD_RETRY: Final = {b"true": True, b"false": False}


def classify_response(
    patterns: ErrorPatterns,
    status: int,
    headers: Mapping[bytes, bytes],
    body: bytes,
    wall_s: float | None,
    *,
    names_model: bool = False,
) -> UpstreamError:
    """Return the error that a response with a status other than 200 means. `wall_s`: seconds since the epoch, to read dates.

    `names_model`: the configuration, not the client, chose the model that was requested.
    """
    found = read_provider_error(body)
    among = MEANINGS.get(status, _QUOTA)
    meaning = patterns.meaning(found, among if names_model else among - {"model_gone"})
    words = redact(provider_words(found))
    error = _error(meaning, status, headers, body, words, wall_s)
    error.upstream_status = status
    if not isinstance(error, Rejected):  # those go to the client as they are, and may quote its request
        error.provider_words = words
    error.should_retry = _SHOULD_RETRY.get(headers.get(b"x-should-retry", b"").lower(), error.should_retry)
    return error


def _error(
    meaning: ErrorMeaning | None,
    status: int,
    headers: Mapping[bytes, bytes],
    body: bytes,
    words: str,
    wall_s: float | None,
) -> UpstreamError:
    words = f": {words}" if words else ""
    if status < 300 or status > 599:
        return ProtocolError(f"the provider answered {status} where an answer was due")
    if status < 400:
        return ProtocolError("the provider answered with a redirect")
    if meaning == "quota" or status == 402:
        return QuotaUsedUp(f"the gateway's quota at the provider is used up{words}")
    if meaning == "model_gone":
        return ModelGone(f"the provider does not have the configured model{words}")
    if meaning == "credential" or (status in (401, 403) and meaning is None):
        return CredentialRefused("the provider refused the gateway's own credential")
    if status == 429:
        wait_s = rate_limit_wait_s(headers, wall_s)
        return UpstreamRateLimited(f"the provider is rate limited{words}", retry_after_s=wait_s)
    if status < 500:
        return _rejected(meaning, status, headers, body, words, wall_s)
    wait_s = stated_wait_s(headers, wall_s)
    return Unavailable(f"the provider answered {status}{words}", status=status, retry_after_s=wait_s)


def _rejected(
    meaning: ErrorMeaning | None,
    status: int,
    headers: Mapping[bytes, bytes],
    body: bytes,
    words: str,
    wall_s: float | None,
) -> Rejected:
    """Return a rejection, which is sent with its own body; `words` stand in for a body that can't be sent."""
    content_type, body = _forwardable(headers, body)
    if meaning == "context_length":
        message = f"the request is too long for the model{words}"
        return ContextTooLong(message, status=status, body=body, content_type=content_type)
    if meaning == "content_policy":
        message = f"the provider's policy refuses the content{words}"
        return ContentRefused(message, status=status, body=body, content_type=content_type)
    if status in TRANSIENT or headers.get(b"x-should-retry", b"").lower() == b"true":
        passing = Transient(
            f"the provider answered {status}{words}", status=status, body=body, content_type=content_type
        )
        passing.retry_after_s = stated_wait_s(headers, wall_s)
        return passing
    return Rejected(f"the provider rejected the request{words}", status=status, body=body, content_type=content_type)


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
