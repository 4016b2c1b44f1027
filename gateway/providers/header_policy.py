"""The one table of headers: which header reaches a provider, which header of a provider reaches a client, and why.

A header that is not in this table does not cross the gateway, in either direction. Two sources lie outside of it: `headers:` of
a provider in the configuration (sent as written, in place of a client's), and the headers that the gateway itself writes to a
client (`x-gateway-…`, ids, framing: `api/client_side.py`). Rate limits are listed here, but `rate_limits.py` copies them
or translates them from one vendor's headers to another's.

A kind of provider adds the headers of its own API in its file (`CLIENT_HEADERS`). `gateway.providers.header_rules()` yields all
rows. The tuples at the end are what the code reads; their order is the order on the wire.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from gateway.providers.rate_limits import LIMIT_HEADERS

VIA: Final = "1.1 llm-gateway"
GATEWAY: Final = VIA.split()[1]

Calls = Literal["all", "dialect", "pass_through"]
"""`dialect`: requests that the gateway reads (chat, embeddings, …); `pass_through`: all other paths."""


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """One header that may reach a provider or a client; its name in lower case.

    `source`: whose value is sent; the gateway's own value also replaces one that the other side sends. `default`: sent where the
    source has no such header, "" for nothing. `kind`: the kind of provider, "" for all.
    """

    name: str
    to: Literal["provider", "client"]
    source: Literal["client", "provider", "gateway"]
    calls: Calls
    reason: str
    default: str = ""
    kind: str = ""


def from_client(name: str, calls: Calls, reason: str, default: str = "") -> HeaderRule:
    """Return the rule of a client's header that reaches the provider."""
    return HeaderRule(name, "provider", "client", calls, reason, default)


def to_client(name: str, calls: Calls, reason: str) -> HeaderRule:
    """Return the rule of a provider's header that reaches the client."""
    return HeaderRule(name, "client", "provider", calls, reason)


def _own(name: str, calls: Calls, reason: str) -> HeaderRule:
    return HeaderRule(name, "provider", "gateway", calls, reason)


_BODY: Final = "describes a body that the gateway does not read"
_CONDITION: Final = "a condition that only the provider can check"
_TRACE: Final = "W3C Trace Context: the provider's spans join the client's trace"
_KEY: Final = "the provider's key; the client's own credential never leaves the gateway"

FROM_CLIENT: Final = (
    from_client("content-type", "pass_through", _BODY),
    from_client("accept", "pass_through", "the form in which the client wants the response"),
    from_client("range", "pass_through", "the part of a file that the client wants"),
    from_client("if-match", "pass_through", _CONDITION),
    from_client("if-none-match", "pass_through", _CONDITION),
    from_client("if-modified-since", "pass_through", _CONDITION),
    from_client("if-unmodified-since", "pass_through", _CONDITION),
    from_client("if-range", "pass_through", _CONDITION),
    from_client("traceparent", "all", _TRACE),
    from_client("tracestate", "all", _TRACE),
)
"""Headers of a client that reach a provider of any kind."""

IDEMPOTENCY_KEY: Final = from_client(
    "idempotency-key", "all", "the provider recognizes a request that a client repeats"
)

FROM_GATEWAY: Final = (
    _own("host", "all", "the provider's own"),
    _own("content-type", "dialect", "the body is JSON that the gateway has written"),
    _own("accept", "dialect", "the gateway reads JSON and event streams"),
    _own("accept-encoding", "all", "`identity`: a compressed stream would be held up, and could not be read"),
    _own("user-agent", "all", "names the gateway, not the client"),
    _own("via", "all", "marks the way through this gateway, so that a loop is found"),
    _own("authorization", "all", _KEY),
    _own("x-api-key", "all", _KEY),
    _own("api-key", "all", _KEY),
    _own("proxy-authorization", "all", "the credentials of `proxy:`, where the proxy reads the request"),
    _own("x-request-id", "all", "the request's id in the gateway's log"),
    _own("content-length", "all", "the length of the body that is sent"),
    _own("transfer-encoding", "pass_through", "for a body of unknown length"),
)
"""Headers that the gateway writes to a provider."""

TO_CLIENT: Final = (
    to_client("content-type", "pass_through", _BODY),
    to_client("content-disposition", "pass_through", _BODY),
    to_client("content-range", "pass_through", _BODY),
    to_client("content-encoding", "pass_through", _BODY),
    to_client("content-language", "pass_through", _BODY),
    to_client("accept-ranges", "pass_through", "whether the client may ask for parts of a file"),
    to_client("etag", "pass_through", "the version of a file, for the client's conditions"),
    to_client("last-modified", "pass_through", "the version of a file, for the client's conditions"),
    to_client("cache-control", "pass_through", "how long the client may keep a file"),
    to_client("openai-processing-ms", "all", "read by OpenAI's clients and by monitoring"),
    to_client("openai-version", "all", "read by OpenAI's clients and by monitoring"),
    to_client("openai-model", "all", "read by OpenAI's clients and by monitoring"),
    to_client("x-gateway-estimated", "all", "another gateway behind this one has estimated the token counts"),
)
"""Headers of a provider that reach a client."""

RATE_LIMITS: Final = tuple(
    to_client(name.decode(), "all", "what is left of the provider's rate limits; renamed for clients of another vendor")
    for name in chain.from_iterable(LIMIT_HEADERS.values())
)
"""Headers of a provider that `rate_limits.py` copies or translates."""


def general_rules() -> Iterator[HeaderRule]:
    """Yield the rules that hold for every kind of provider."""
    return chain(FROM_CLIENT, FROM_GATEWAY, TO_CLIENT, RATE_LIMITS)


def _names(rules: tuple[HeaderRule, ...], calls: Calls) -> tuple[str, ...]:
    return tuple(rule.name for rule in rules if rule.calls in ("all", calls))


FROM_CLIENT_DIALECT: Final = _names(FROM_CLIENT, "dialect")
FROM_CLIENT_PASS_THROUGH: Final = _names(FROM_CLIENT, "pass_through")
TO_CLIENT_DIALECT: Final = tuple(name.encode() for name in _names(TO_CLIENT, "dialect"))
TO_CLIENT_PASS_THROUGH: Final = tuple(name.encode() for name in _names(TO_CLIENT, "pass_through"))


def second_via(headers: Mapping[str, str]) -> str:
    """Return a further `via` line for a request that has passed a gateway like this one already, otherwise "".

    Two gateways are a chain; the third time round is a loop, which `api/request_checks.py` refuses.
    """
    if "via" in headers and any(GATEWAY in value.lower() for value in all_values(headers, "via")):
        return f"via: {VIA}\r\n"
    return ""


LISTS: Final = frozenset({"anthropic-beta", "openai-beta", "tracestate", "accept", "if-match", "if-none-match"})
"""Headers whose value is a list: lines that a client repeats are joined to one (RFC 9110, 5.3)."""


def client_value(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """Return the value of a client's header as it is sent on: "" for none; repeated lines of a list are joined."""
    value = headers.get(name)
    if value is None:
        return default
    return ", ".join(all_values(headers, name)) if name in LISTS else value


def all_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Return every value of a header that may be repeated."""
    get_all = getattr(headers, "getall", None)
    return list(get_all(name, ())) if get_all is not None else [headers[name]] if name in headers else []
