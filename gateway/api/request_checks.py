"""What a well-formed request must not be: the rules of RFC 9110 and 9112 that the parser leaves to us.

The parser (llhttp, strict) refuses broken lines, folded headers, stray CR, LF and NUL, bad chunks, contradicting or
repeated lengths. It lets the following pass, each a known way to have two servers read one request differently, or to
have a gateway act for somebody else:

| what                                              | answer | source          |
|---------------------------------------------------|--------|-----------------|
| any version but HTTP/1.1 and HTTP/1.0             | 400    | 9112, 2.3       |
| RTSP/1.0, which it takes for HTTP/1.0             | 400    | 9112, 2.3       |
| Transfer-Encoding other than `chunked`, or in 1.0 | 400    | 9112, 6.1       |
| a Host that is no host                            | 400    | 9112, 3.2       |
| CONNECT                                           | 405    | 9110, 9.3.6     |
| an absolute target of another authority           | 421    | 9110, 7.4       |
| Upgrade, h2c included                             | 400    | 9110, 7.8       |
| an expectation other than 100-continue            | 417    | 9110, 10.1.1    |
| a Via that names this gateway twice               | 400    | 9110, 7.6.3     |
| a head over the limit in all                      | 431    | RFC 6585, 5     |

Each ends the connection.
"""

import re
from typing import Any, Final, Protocol

from aiohttp import HttpVersion10, HttpVersion11, hdrs
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from gateway.core.errors import CallerError, GatewayError, InvalidRequest, MethodNotAllowed
from gateway.core.reserved_paths import REALTIME_UNSUPPORTED
from gateway.providers.header_policy import VIA as OUR_VIA

LINE_LIMIT: Final = 8 * 2**10  # of the request line; another number than the next tells which of the two was passed
FIELD_LIMIT: Final = 16 * 2**10  # of one header
HEADERS_LIMIT: Final = 100
HEAD_LIMIT: Final = 32 * 2**10
METHODS: Final = "GET, HEAD, POST"

_OUR_NAME: Final = OUR_VIA.split()[1]
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)


class Entrance(Protocol):
    """Where a request came in."""

    @property
    def sockname(self) -> Any: ...


def fault_of(message: RawRequestMessage, entrance: Entrance) -> GatewayError | None:
    """Give what is wrong with a request that was parsed; None for nothing.

    Of HTTP/0.9 and CONNECT the parser may give no target at all: both are refused before it is looked at.
    """
    headers = message.headers
    if message.version is not HttpVersion11:
        if message.version is not HttpVersion10:
            return InvalidRequest("HTTP/1.1 and HTTP/1.0 are spoken here", code="invalid_http", status=400)
        if hdrs.TRANSFER_ENCODING in headers:
            return _invalid("HTTP/1.0 has no Transfer-Encoding")
    if message.method == hdrs.METH_CONNECT:
        return MethodNotAllowed("no tunnels are opened here", allow=METHODS)
    host = headers.get(hdrs.HOST)
    if host is not None and _HOST.fullmatch(host) is None:
        return _invalid("the Host header does not name a host")
    if hdrs.TRANSFER_ENCODING in headers and headers[hdrs.TRANSFER_ENCODING].lower() != "chunked":
        return _invalid("no Transfer-Encoding but chunked is taken")
    if not message.path.startswith("/") and (fault := _misdirected(message.path, host, entrance.sockname)) is not None:
        return fault
    if hdrs.UPGRADE in headers:
        return InvalidRequest(f"no other protocol is spoken here: {REALTIME_UNSUPPORTED}", code="upgrade_refused")
    if hdrs.EXPECT in headers and message.version is HttpVersion11 and _expects_more(headers.getall(hdrs.EXPECT)):
        return CallerError("no expectation but 100-continue is met", code="expectation_failed", status=417)
    if hdrs.VIA in headers and _names_us_twice(headers.getall(hdrs.VIA)):
        message_text = "the request has been through gateways like this one twice already (Via)"
        return CallerError(message_text, code="request_loop", status=400)
    return None


def parser_fault(exc: BaseException) -> GatewayError:
    """Say what the parser refused. Its own words may hold what the client sent, so they are not repeated."""
    if isinstance(exc, LineTooLong):
        if exc.args[1] == LINE_LIMIT:
            return InvalidRequest("the request line is too long", code="head_too_large", status=414)
        return InvalidRequest("a header is too long", code="head_too_large", status=431)
    if "Too many headers" in str(exc):
        return InvalidRequest(f"more than {HEADERS_LIMIT} headers", code="head_too_large", status=431)
    return bad_http()


def bad_http() -> GatewayError:
    """Say no more than that."""
    return _invalid("the request is not valid HTTP")


def large_head() -> GatewayError:
    """Say that a head is over the limit."""
    return InvalidRequest(f"the head is larger than {HEAD_LIMIT} bytes", code="head_too_large", status=431)


def head_size(message: RawRequestMessage) -> int:
    """Give roughly how many bytes the head of a request had; never more than it had."""
    return len(message.path) + sum(len(name) + len(value) + 3 for name, value in message.raw_headers)


def is_foreign_protocol(message: RawRequestMessage, data: bytes) -> bool:
    """Whether a request that came in `data` as version 1.0 may have been of RTSP, which the parser can't tell apart."""
    return message.version is HttpVersion10 and b" RTSP/" in data


def path_of(target: str) -> str:
    """Give the path in a request's target exactly as it was sent: nothing in it is decoded or resolved."""
    return _local(target).partition("?")[0]


def query_of(target: str) -> str:
    """Give what stands behind the `?` of a request's target, as it was sent; "" for nothing."""
    return _local(target).partition("?")[2]


def _local(target: str) -> str:
    """Give the target without the authority that an absolute one names."""
    if not target.startswith("/") and (absolute := _ABSOLUTE.fullmatch(target)) is not None:
        return absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    return target


def _misdirected(target: str, host: str | None, sockname: Any) -> GatewayError | None:
    """Judge a target that is no path: only `*`, and the absolute form of what is ours, are taken."""
    if target == "*":
        return None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return _invalid("the target of the request is no path")
    authority = absolute[1].lower()
    if authority not in _own_authorities(sockname) or (host is not None and host.lower() != authority):
        return CallerError("requests for others are not passed on", code="misdirected_request", status=421)
    return None


def _own_authorities(sockname: Any) -> set[str]:
    """Give what an absolute target may name: the address where the request came in, or this machine."""
    if not isinstance(sockname, tuple):
        return {"localhost"}
    address, port = str(sockname[0]), int(sockname[1])
    names = {f"[{address}]" if ":" in address else address}
    if address.startswith("127.") or address == "::1":
        names.add("localhost")
    return {f"{name}:{port}" for name in names} | (names if port in (80, 443) else set())


def _expects_more(values: list[str]) -> bool:
    return any(value.strip().lower() != "100-continue" for value in values)


def _names_us_twice(values: list[str]) -> bool:
    hops = (hop.split() for value in values for hop in value.split(","))
    return sum(len(hop) > 1 and hop[1].lower() == _OUR_NAME for hop in hops) > 1


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_http")
