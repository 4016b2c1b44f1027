"""Opening connections: address look-up, happy eyeballs, the tunnel through a proxy, TLS."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import aiohappyeyeballs

from gateway.core.errors import Unavailable, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.providers.addresses import Address, Addresses, Lookup
from gateway.providers.origin import Origin, Proxy

RECEIVE_BUFFER: Final = 256 * 2**10  # bytes in the kernel; a bound, so that a slow client slows the provider
NEXT_ADDRESS_S: Final = 0.25  # after which the next address is tried as well (RFC 8305, 5)
TUNNEL_HEAD_LIMIT: Final = 16 * 2**10  # bytes of a proxy's response

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)


class Connector:
    """Opens connections to origins: direct, over a Unix socket, or through a proxy."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._addresses = Addresses(lookup)
        self._default_context: ssl.SSLContext | None = None

    async def open(self, origin: Origin, make: Callable[[], AnyProtocol], connect_s: float | None) -> AnyProtocol:
        """Return the protocol of a new connection; `connect_s` limits all steps together.

        Raises `UpstreamError`, whose message contains no address. Cancellation leaves nothing open.
        """
        tried: list[Address] = []  # since the last connection was opened
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin, make, tried)
        except TimeoutError:
            self._addresses.record_failures(*_peer(origin), tried)
            message = "no connection to the provider in time (connect timeout)"
            raise UpstreamTimeout(message, code="connect_timeout", fault=Fault.CONNECT_TIMEOUT) from None
        except ssl.SSLError as error:
            message = f"no secure connection to the provider ({error.reason})"
            raise Unavailable(message, code="upstream_tls", fault=Fault.CONNECT) from error
        except OSError as error:
            message = f"no connection to the provider ({_reason(error)})"
            raise Unavailable(message, code="upstream_connect", fault=Fault.CONNECT) from error

    def retain(self, origins: Collection[Origin]) -> None:
        """Forget the addresses of every name that no origin of `origins` needs."""
        self._addresses.retain({_peer(origin) for origin in origins})

    async def _open(self, origin: Origin, make: Callable[[], AnyProtocol], tried: list[Address]) -> AnyProtocol:
        loop = asyncio.get_running_loop()
        if origin.unix:
            _, protocol = await loop.create_unix_connection(make, origin.unix)
            return protocol
        sock = await self._connect(*_peer(origin), tried)
        try:
            if origin.proxy is not None and origin.is_tls:
                await _tunnel(sock, origin, origin.proxy)
            _, protocol = await loop.create_connection(
                make,
                sock=sock,
                ssl=(origin.context or self._context()) if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return protocol

    async def _connect(self, host: str, port: int, tried: list[Address]) -> socket.socket:
        """Return a connected socket. `tried` holds the addresses that are being tried when the caller's timeout runs out.

        A cancellation says nothing about the addresses: the client may have left.
        """
        addresses = await self._addresses.of(host, port)

        def make_socket(address: Address) -> socket.socket:
            tried.append(address)
            return _make_socket(address)

        try:
            sock = await aiohappyeyeballs.start_connection(
                addresses,
                loop=asyncio.get_running_loop(),
                happy_eyeballs_delay=NEXT_ADDRESS_S,
                interleave=0,  # they are in the order to try them
                socket_factory=make_socket,
            )
        except RuntimeError as error:  # uvloop raises it for an address that can't be used
            self._addresses.record_failures(host, port, tried)
            raise OSError("not an address to connect to") from error
        except OSError:
            self._addresses.record_failures(host, port, tried)
            raise
        if len(tried) > 1:  # those tried earlier have failed, or are slower by more than their head start
            taken = sock.getpeername()
            won = next((at for at, one in enumerate(tried) if one[4][:2] == taken[:2]), 0)
            self._addresses.record_failures(host, port, tried[:won])
        tried.clear()
        return sock

    def _context(self) -> ssl.SSLContext:
        if self._default_context is None:
            self._default_context = ssl.create_default_context()
        return self._default_context


def _peer(origin: Origin) -> tuple[str, int]:
    """Return the host and port of the connection: the proxy's, where there is one."""
    return (origin.host, origin.port) if origin.proxy is None else (origin.proxy.host, origin.proxy.port)


async def _tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Open a tunnel to `origin` through a proxy with CONNECT (RFC 9110, 9.3.6)."""
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"host: {host}:{origin.port}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    await loop.sock_sendall(sock, "".join(f"{line}\r\n" for line in (*lines, "")).encode())
    head = b""
    while (end := head.find(b"\r\n\r\n")) < 0:
        data = await loop.sock_recv(sock, 4096)
        head += data
        if not data or len(head) > TUNNEL_HEAD_LIMIT:
            raise _tunnel_refused()
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    has_surplus = end + 4 != len(head)  # TLS begins with the client
    if status is None or not status[1].startswith(b"2") or has_surplus:
        raise _tunnel_refused(f" (it answered {status[1].decode()})" if status is not None else "")


def _tunnel_refused(detail: str = "") -> Unavailable:
    return Unavailable(
        f"the proxy did not let the gateway through{detail}", code="upstream_connect", fault=Fault.CONNECT
    )


def _make_socket(address: Address) -> socket.socket:
    family, kind, proto, _, _ = address
    sock = socket.socket(family, kind, proto)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _reason(error: OSError) -> str:
    """Describe an error without its address, which must not reach clients."""
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return type(error).__name__
