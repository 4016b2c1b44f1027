"""Which fault each way to break off is, as the transport meets it on real sockets."""

import asyncio

import pytest

from gateway.core.errors import UpstreamError
from gateway.core.faults import Fault
from gateway.providers.transport import Origin, Transport
from gateway.resilience.timeouts import Timeouts
from tests.support.loops import on_every_loop
from tests.support.processes import free_port
from tests.support.upstream import Peer, body_of, call, chunked, ok, upstream


async def broken(origin: Origin, timeouts: Timeouts | None = None) -> UpstreamError:
    """Return the outcome of a request."""
    transport = Transport()
    try:
        with pytest.raises(UpstreamError) as caught:
            await body_of(await transport.send(call(origin, timeouts=timeouts)))
    finally:
        transport.close()
    return caught.value


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"", Fault.CONNECT),
        (b"HTTP/1.1 2", Fault.CONNECT),
        (b"HTTP/1.1 200 OK\r\n", Fault.CUT),
        (b"HTTP/1.1 200 OK\r\ncontent-le", Fault.CUT),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Fault.CUT),
        (ok(b"hello")[:-1], Fault.CUT),
        (chunked(b"hello", last=b""), Fault.CUT),
        (chunked(b"hello", last=b"5\r\nhel"), Fault.CUT),
        (b"SSH-2.0-OpenSSH\r\n", Fault.MALFORMED),
        (chunked(b"hello", last=b"zz\r\nhello\r\n"), Fault.MALFORMED),
    ],
)
@on_every_loop
async def test_a_connection_that_ends_is_a_fault_by_what_had_come(sent: bytes, fault: Fault, resets: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        if resets and fault is not Fault.MALFORMED:
            await asyncio.sleep(0)
            peer.reset()

    async with upstream(script) as served:
        error = await broken(served.origin)
    assert (error.fault, error.http_status) == (fault, 502)
    assert error.is_retryable and error.hurts_breaker


@on_every_loop
async def test_whatever_hinders_a_connection_is_one_fault() -> None:
    async def mute(peer: Peer) -> None:
        await peer.closed()

    dead = Origin("127.0.0.1", free_port())
    async with upstream(mute) as served:
        no_tls = Origin("127.0.0.1", served.origin.port, is_tls=True)
        late = await broken(no_tls, Timeouts(connect_s=0.05))
        refused = await broken(dead)
    assert (late.fault, late.http_status, late.error_code) == (Fault.CONNECT_TIMEOUT, 504, "connect_timeout")
    assert (refused.fault, refused.http_status, refused.error_code) == (Fault.CONNECT, 502, "upstream_connect")
