"""Request checks: the rules of RFC 9110 and 9112 that the parser does not enforce.

The parser (llhttp, strict) rejects broken lines, folded headers, stray CR, LF and NUL, bad chunks, contradicting or
repeated lengths. It accepts the following, each a known way to make two servers read one request differently, or to
make a gateway act for another server:

| request                                           | status | source          |
|---------------------------------------------------|--------|-----------------|
| any version but HTTP/1.1 and HTTP/1.0             | 400    | 9112, 2.3       |
| RTSP/1.0, which the parser reads as HTTP/1.0      | 400    | 9112, 2.3       |
| Transfer-Encoding other than `chunked`, or in 1.0 | 400    | 9112, 6.1       |
| a Host header that is no host                     | 400    | 9112, 3.2       |
| CONNECT                                           | 405    | 9110, 9.3.6     |
| an absolute target of another authority           | 421    | 9110, 7.4       |
| Upgrade to a WebSocket; any other is ignored      | 400    | 9110, 7.8       |
| an expectation other than 100-continue            | 417    | 9110, 10.1.1    |
| a Via that names this gateway twice               | 400    | 9110, 7.6.3     |
| a head over the limit in total                    | 431    | RFC 6585, 5     |

Each violation ends the connection.
"""

import re
from typing import Any, Final, Protocol

from aiohttp import HttpVersion10, HttpVersion11, hdrs
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from gateway.core.errors import CallerError, GatewayError, InvalidRequest, MethodNotAllowed
from gateway.core.reserved_paths import REALTIME_UNSUPPORTED
from gateway.providers.header_policy import GATEWAY

LINE_LIMIT: Final = (
    8 * 2**10
)  # bytes of the request line; differs from the next limit to tell which of the two was exceeded
FIELD_LIMIT: Final = 16 * 2**10  # bytes of one header
HEADERS_LIMIT: Final = 100
HEAD_LIMIT: Final = 32 * 2**10  # bytes of the request line and all headers
METHODS: Final = "GET, HEAD, POST"

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)


class LocalConnection(Protocol):
    """The connection that received a request; `sockname` is its local address."""

    @property
    def sockname(self) -> Any: ...


def find_violation(message: RawRequestMessage, connection: LocalConnection) -> GatewayError | None:
    """Return the error for a parsed request that violates a rule, otherwise None.

    For HTTP/0.9 and CONNECT the parser may return no target: both are rejected before the target is read.
    """
    headers = message.headers
    if message.version is not HttpVersion11:
        if message.version is not HttpVersion10:
            return InvalidRequest("only HTTP/1.1 and HTTP/1.0 are supported", code="invalid_http", status=400)
        if hdrs.TRANSFER_ENCODING in headers:
            return _invalid("HTTP/1.0 has no Transfer-Encoding")
    if message.method == hdrs.METH_CONNECT:
        return MethodNotAllowed("CONNECT is not supported", allow=METHODS)
    host = headers.get(hdrs.HOST)
    if host is not None and _HOST.fullmatch(host) is None:
        return _invalid("the Host header does not name a host")
    if hdrs.TRANSFER_ENCODING in headers and headers[hdrs.TRANSFER_ENCODING].lower() != "chunked":
        return _invalid("the only supported Transfer-Encoding is chunked")
    if (
        not message.path.startswith("/")
        and (violation := _target_violation(message.path, host, connection.sockname)) is not None
    ):
        return violation
    if hdrs.UPGRADE in headers and _wants_websocket(headers.getall(hdrs.UPGRADE)):
        return InvalidRequest(f"protocol upgrades are not supported: {REALTIME_UNSUPPORTED}", code="upgrade_refused")
    if (
        hdrs.EXPECT in headers
        and message.version is HttpVersion11
        and _has_other_expectation(headers.getall(hdrs.EXPECT))
    ):
        return CallerError("the only supported expectation is 100-continue", code="expectation_failed", status=417)
    if hdrs.VIA in headers and _passed_gateway_twice(headers.getall(hdrs.VIA)):
        message_text = "request loop: the request has already passed through this kind of gateway twice (Via)"
        return CallerError(message_text, code="request_loop", status=400)
    return None


def parser_error(exc: BaseException) -> GatewayError:
    """Return the error for an exception of the parser. Its message may contain input of the client, so it is not repeated."""
    if isinstance(exc, LineTooLong):
        if exc.args[1] == LINE_LIMIT:
            return InvalidRequest("the request line is too long", code="head_too_large", status=414)
        return InvalidRequest("a header is too long", code="head_too_large", status=431)
    if "Too many headers" in str(exc):
        return InvalidRequest(f"more than {HEADERS_LIMIT} headers", code="head_too_large", status=431)
    return invalid_http()


def invalid_http() -> GatewayError:
    """Return the error for invalid HTTP, without details."""
    return _invalid("the request is not valid HTTP")


def head_too_large() -> GatewayError:
    """Return the error for a head over the limit."""
    return InvalidRequest(f"the head is larger than {HEAD_LIMIT} bytes", code="head_too_large", status=431)


def head_size(message: RawRequestMessage) -> int:
    """Return a lower bound of the size of a request's head in bytes."""
    return len(message.path) + sum(len(name) + len(value) + 3 for name, value in message.raw_headers)


def may_be_rtsp(message: RawRequestMessage, data: bytes) -> bool:
    """Return whether a request that was parsed from `data` as HTTP/1.0 may be RTSP; the parser can't tell them apart."""
    return message.version is HttpVersion10 and b" RTSP/" in data


def path_of(target: str) -> str:
    """Return the path in a request target exactly as sent: nothing is decoded or resolved."""
    return _without_authority(target).partition("?")[0]


def query_of(target: str) -> str:
    """Return the query of a request target as sent, without the `?`; "" for none."""
    return _without_authority(target).partition("?")[2]


def _without_authority(target: str) -> str:
    """Return the target without scheme and authority, if it is absolute."""
    if not target.startswith("/") and (absolute := _ABSOLUTE.fullmatch(target)) is not None:
        return absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    return target


def _target_violation(target: str, host: str | None, sockname: Any) -> GatewayError | None:
    """Return the error for a target that is not a path; `*` and absolute targets of this gateway are allowed."""
    if target == "*":
        return None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return _invalid("the request target is not a path")
    authority = absolute[1].lower()
    if authority not in _own_authorities(sockname) or (host is not None and host.lower() != authority):
        return CallerError("requests for other servers are not forwarded", code="misdirected_request", status=421)
    return None


def _own_authorities(sockname: Any) -> set[str]:
    """Return the authorities that an absolute target may name: the local address, and `localhost` on loopback."""
    if not isinstance(sockname, tuple):
        return {"localhost"}
    address, port = str(sockname[0]), int(sockname[1])
    names = {f"[{address}]" if ":" in address else address}
    if address.startswith("127.") or address == "::1":
        names.add("localhost")
    return {f"{name}:{port}" for name in names} | (names if port in (80, 443) else set())


def _wants_websocket(values: list[str]) -> bool:
    return any(name.strip().lower().partition("/")[0] == "websocket" for value in values for name in value.split(","))


def _has_other_expectation(values: list[str]) -> bool:
    return any(value.strip().lower() != "100-continue" for value in values)


def _passed_gateway_twice(values: list[str]) -> bool:
    hops = (hop.split() for value in values for hop in value.split(","))
    return sum(len(hop) > 1 and hop[1].lower() == GATEWAY for hop in hops) > 1


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_http")
