"""Invalid requests, one violation each: raw bytes as a client sends them, with the expected status."""

from typing import Final

BODY: Final = b'{"model":"auto","messages":[{"role":"user"}]}'
HEAD: Final = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
LENGTH: Final = b"content-length: %d\r\n" % len(BODY)
GET: Final = b"GET /health HTTP/1.1\r\nhost: x\r\n"
CHUNK: Final = b"%x\r\n%b\r\n" % (len(BODY), BODY)
LAST: Final = b"0\r\n\r\n"


def post(more: bytes = b"", *, head: bytes = HEAD, framing: bytes = LENGTH, body: bytes = BODY) -> bytes:
    """Return a chat request with further header lines."""
    return head + framing + more + b"\r\n" + body


def with_target(target: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a chat request with another request line."""
    return post(head=HEAD.replace(HEAD.partition(b"\r\n")[0], b"%b %b %b" % (method, target, version)))


def chunked(body: bytes) -> bytes:
    """Return a chunked chat request with this raw body."""
    return post(framing=b"transfer-encoding: chunked\r\n", body=body)


def with_coding(value: bytes, framing: bytes = b"") -> bytes:
    """Return a chat request with this Transfer-Encoding."""
    return post(framing=framing + b"transfer-encoding:" + value + b"\r\n", body=CHUNK + LAST)


def with_hosts(*lines: bytes) -> bytes:
    """Return a request with these Host lines."""
    return b"GET /v1/models HTTP/1.1\r\n%b\r\n" % b"".join(line + b"\r\n" for line in lines)


CHAT: Final = b"/v1/chat/completions"

REJECTED: Final[dict[str, tuple[bytes, int]]] = {
    # Ambiguous length
    "length and chunks": (with_coding(b" chunked", LENGTH), 400),
    "chunks and length": (post(LENGTH, framing=b"transfer-encoding: chunked\r\n", body=LAST), 400),
    "two lengths": (post(b"content-length: 2\r\n"), 400),
    "the same length twice": (post(LENGTH), 400),
    "a list of lengths": (post(framing=b"content-length: 45, 45\r\n"), 400),
    "lengths with a space": (post(framing=b"content-length: 45 45\r\n"), 400),
    "a signed length": (post(framing=b"content-length: +45\r\n"), 400),
    "a negative length": (post(framing=b"content-length: -1\r\n"), 400),
    "a length in hex": (post(framing=b"content-length: 0x2d\r\n"), 400),
    "a length with an underscore": (post(framing=b"content-length: 3_0\r\n"), 400),
    "a length in other digits": (post(framing="content-length: ٣٠\r\n".encode()), 400),
    "a length of nothing": (post(framing=b"content-length:\r\n"), 400),
    "a length without end": (post(framing=b"content-length: 99999999999999999999999\r\n"), 400),
    "gzip, chunked": (with_coding(b" gzip, chunked"), 400),
    "chunked, gzip": (with_coding(b" chunked, gzip"), 400),
    "chunked twice": (with_coding(b" chunked, chunked"), 400),
    "two codings": (with_coding(b" chunked", b"transfer-encoding: chunked\r\n"), 400),
    "chunked with a parameter": (with_coding(b" chunked;q=1"), 400),
    "quoted chunked": (with_coding(b' "chunked"'), 400),
    "xchunked": (with_coding(b" xchunked"), 400),
    "identity": (with_coding(b" identity", LENGTH), 400),
    "a coding of nothing": (with_coding(b"", LENGTH), 400),
    "vertical tab before chunked": (with_coding(b" \x0bchunked"), 400),
    "NUL behind chunked": (with_coding(b" chunked\x00"), 400),
    "chunks in HTTP/1.0": (with_coding(b" chunked").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "space before the colon of the length": (post(framing=b"content-length : 45\r\n"), 400),
    # Chunks
    "a chunk without a size": (chunked(b"\r\n" + BODY + b"\r\n" + LAST), 400),
    "a chunk size with 0x": (chunked(b"0x2d\r\n" + BODY + b"\r\n" + LAST), 400),
    "a signed chunk size": (chunked(b"+2d\r\n" + BODY + b"\r\n" + LAST), 400),
    "a negative chunk size": (chunked(b"-2d\r\n" + BODY + b"\r\n" + LAST), 400),
    "a chunk size that overflows": (chunked(b"f" * 17 + b"\r\n" + BODY + b"\r\n" + LAST), 400),
    "a chunk size that wraps around": (chunked(b"1000000000000002d\r\n" + BODY + b"\r\n" + LAST), 400),
    "space before a chunk size": (chunked(b" 2d\r\n" + BODY + b"\r\n" + LAST), 400),
    "space behind a chunk size": (chunked(b"2d \r\n" + BODY + b"\r\n" + LAST), 400),
    "LF behind a chunk size": (chunked(b"2d\n" + BODY + b"\r\n" + LAST), 400),
    "LF behind a chunk": (chunked(b"2d\r\n" + BODY + b"\n" + LAST), 400),
    "nothing behind a chunk": (chunked(b"2d\r\n" + BODY + LAST), 400),
    "a chunk longer than its size": (chunked(b"1d\r\n" + BODY + b"\r\n" + LAST), 400),
    "LF in a chunk extension": (chunked(b"2d;a\n" + BODY + b"\r\n" + LAST), 400),
    "CR in a chunk extension": (chunked(b"2d;a\rb\r\n" + BODY + b"\r\n" + LAST), 400),
    "an open quote in a chunk extension": (chunked(b'2d;a="b\r\n' + BODY + b"\r\n" + LAST), 400),
    "LF behind the last chunk": (chunked(CHUNK + b"0\r\n\n"), 400),
    "a trailer that is no field": (chunked(CHUNK + b"0\r\nx a: b\r\n\r\n"), 400),
    "a length as a trailer": (chunked(CHUNK + b"0\r\ncontent-length: 5\r\n\r\n"), 400),
    # Lines
    "LF for CRLF": (post().replace(b"\r\n", b"\n"), 400),
    "one LF for CRLF": (post().replace(b"host: x\r\n", b"host: x\n"), 400),
    "CR in a value": (post(b"x-a: a\rb\r\n"), 400),
    "CR for CRLF": (post(b"x-a: a\rx-b: c\r\n"), 400),
    "CR CR LF": (post(b"x-a: a\r\r\n"), 400),
    "a folded header": (post(b"x-a: 1\r\n 2\r\n"), 400),
    "a header folded with a tab": (post(b"x-a: 1\r\n\t2\r\n"), 400),
    "a fold before the first header": (post().replace(b"host: x\r\n", b" y: z\r\nhost: x\r\n"), 400),
    "space before the colon": (post(b"x-a : 1\r\n"), 400),
    "tab before the colon": (post(b"x-a\t: 1\r\n"), 400),
    "no colon": (post(b"abc\r\n"), 400),
    "no name": (post(b": 1\r\n"), 400),
    "a name that is no token": (post(b"a(b: 1\r\n"), 400),
    "a name beyond ASCII": (post(b"a\xffb: 1\r\n"), 400),
    "NUL in a name": (post(b"x\x00a: 1\r\n"), 400),
    "NUL in a value": (post(b"x-a: \x00\r\n"), 400),
    "a control character": (post(b"x-a: \x01\r\n"), 400),
    "an escape": (post(b"x-a: \x1b[31m\r\n"), 400),
    "DEL": (post(b"x-a: \x7f\r\n"), 400),
    # The request line
    "no version": (b"GET /health\r\n\r\n", 400),
    "HTTP/2.0": (with_target(CHAT, version=b"HTTP/2.0"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400),
    "HTTP/1.2": (with_target(CHAT, version=b"HTTP/1.2"), 400),
    "HTTP/1.10": (with_target(CHAT, version=b"HTTP/1.10"), 400),
    "HTTP/01.1": (with_target(CHAT, version=b"HTTP/01.1"), 400),
    "http/1.1": (with_target(CHAT, version=b"http/1.1"), 400),
    "RTSP": (with_target(CHAT, version=b"RTSP/1.0"), 400),
    "a space behind the version": (with_target(CHAT, version=b"HTTP/1.1 "), 400),
    "a tab in the request line": (with_target(CHAT, method=b"POST\t"), 400),
    "a space before the method": (b" " + post(), 400),
    "a lower-case method": (with_target(CHAT, method=b"post"), 400),
    "an unknown method": (with_target(CHAT, method=b"FROB"), 400),
    "a method without end": (with_target(CHAT, method=b"P" * 5000), 400),
    "NUL in the path": (with_target(b"/v1/chat\x00/completions"), 400),
    "a tab in the path": (with_target(b"/v1/chat\t/completions"), 400),
    "a byte beyond ASCII in the path": (with_target(b"/v1/chat\xff/completions"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), 400),
    # The target
    "no Host": (with_hosts(b"accept: */*"), 400),
    "two Hosts": (with_hosts(b"host: x", b"host: y"), 400),
    "the same Host twice": (with_hosts(b"host: x", b"host: x"), 400),
    "a Host of nothing": (with_hosts(b"host:"), 400),
    "a Host with a space": (with_hosts(b'host: a b<>"c'), 400),
    "a Host with a user": (with_hosts(b"host: a@b"), 400),
    "a Host with a path": (with_hosts(b"host: a/b"), 400),
    "a list of Hosts": (with_hosts(b"host: a, b"), 400),
    "a Host with an odd port": (with_hosts(b"host: a:8x"), 400),
    "a Host beyond ASCII": (with_hosts("host: ä".encode()), 400),
    "another authority": (with_target(b"http://evil.example" + CHAT), 421),
    "another authority that Host names too": (with_target(b"http://x" + CHAT), 421),
    "our authority behind a user": (with_target(b"http://127.0.0.1@evil.example" + CHAT), 421),
    "another scheme": (with_target(b"ftp://x" + CHAT), 400),
    "a file": (with_target(b"file://" + CHAT), 400),
    "no path": (with_target(b"x:80"), 400),
    "a star that is not for OPTIONS": (with_target(b"*"), 400),
    "CONNECT": (b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", 405),
    "CONNECT to nothing": (b"CONNECT \r\n\r\nx:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", 400),
    "nothing but a method": (b"GET \r\n\r\n", 400),
    "CONNECT to a path": (with_target(CHAT, method=b"CONNECT"), 405),
    # Upgrade, Expect and Via
    "an upgrade to WebSocket among others": (GET + b"connection: upgrade\r\nupgrade: h2c, WebSocket/13\r\n\r\n", 400),
    "an upgrade to WebSocket": (GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", 400),
    "another expectation": (post(b"expect: 200-ok\r\n"), 417),
    "two expectations": (post(b"expect: 100-continue, x\r\n"), 417),
    "two lines of expectations": (post(b"expect: 100-continue\r\nexpect: x\r\n"), 417),
    "a loop": (post(b"via: 1.1 llm-gateway\r\nvia: 1.1 llm-gateway\r\n"), 400),
    "a loop by way of others": (
        post(b"via: 1.0 fred, 1.1 LLM-Gateway (x)\r\nvia: 1.1 other, 1.1 llm-gateway\r\n"),
        400,
    ),
    # Size limits
    "a request line over its limit": (with_target(b"/" + b"a" * 9000), 414),
    "a query over its limit": (with_target(CHAT + b"?" + b"a" * 9000), 414),
    "a header over its limit": (post(b"x-a: " + b"a" * 17_000 + b"\r\n"), 431),
    "a name over its limit": (post(b"a" * 17_000 + b": 1\r\n"), 431),
    "too many headers": (post(b"".join(b"x-%d: 1\r\n" % number for number in range(100))), 431),
    "a head over its limit": (post(b"".join(b"x-%d: %b\r\n" % (number, b"a" * 1000) for number in range(40))), 431),
}
"""Rejected before authentication and routing; the connection is closed."""

NOT_SERVED: Final[dict[str, tuple[bytes, int]]] = {
    "an encoded slash": (with_target(b"/v1/chat%2Fcompletions"), 404),
    "an encoded letter": (with_target(b"/v1/chat/%63ompletions"), 404),
    "an encoded NUL": (with_target(CHAT + b"%00"), 404),
    "two slashes": (with_target(b"/" + CHAT), 404),
    "two slashes within": (with_target(b"/v1//chat/completions"), 404),
    "a dot": (with_target(b"/v1/./chat/completions"), 404),
    "two dots": (with_target(b"/v1/models/../chat/completions"), 405),
    "two encoded dots": (with_target(b"/x/%2e%2e/v1/chat/completions"), 404),
    "a slash behind it": (with_target(CHAT + b"/"), 404),
    "a parameter": (with_target(CHAT + b";a=b"), 404),
    "a fragment": (with_target(CHAT + b"#a"), 404),
    "a backslash": (with_target(b"/v1\\chat\\completions"), 404),
    "capitals": (with_target(b"/V1/chat/completions"), 404),
    "a broken escape": (with_target(b"/v1/%zz"), 404),
    "TRACE": (with_target(CHAT, method=b"TRACE"), 405),
    "PURGE": (with_target(CHAT, method=b"PURGE"), 405),
    "OPTIONS": (with_target(b"*", method=b"OPTIONS"), 404),
    "gzip": (post(b"content-encoding: gzip\r\n"), 415),
    "gzip behind identity": (post(b"content-encoding: identity\r\ncontent-encoding: gzip\r\n"), 415),
}
"""Valid HTTP that the gateway does not serve; the connection stays open."""

ACCEPTED: Final[dict[str, bytes]] = {
    "a length": post(),
    "chunks": chunked(CHUNK + LAST),
    "Chunked": with_coding(b"\tChunked "),
    "an extension of a chunk": chunked(b'2d;a=b;c="d"\r\n' + BODY + b"\r\n" + LAST),
    "a trailer": chunked(CHUNK + b"0\r\nauthorization: Bearer x\r\n\r\n"),
    "a query": with_target(CHAT + b"?beta=true"),
    "empty lines before it": b"\r\n\r\n" + post(),
    "bytes beyond ASCII in a value": post(b"x-a: \xff\xfe\r\n"),
    "connection options that name our headers": post(b"connection: authorization, x-request-id, content-length\r\n"),
    "one gateway before this one": post(b"via: 1.1 llm-gateway\r\n"),
    "the Via of others": post(b"via: 1.0 fred, HTTP/1.1 p.example.net\r\nvia: x\r\n"),
    "an address for a host": post(head=HEAD.replace(b"host: x", b"host: [::1]:8000")),
    "a name with an underscore for a host": post(head=HEAD.replace(b"host: x", b"host: llm_gateway:8000")),
}
"""Unusual but valid requests."""
