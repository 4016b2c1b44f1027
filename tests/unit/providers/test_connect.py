"""Ways to a provider: addresses that are dead, proxies, TLS; on both event loops."""

import asyncio
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gateway.core.client_tls import ClientTlsError, client_context
from gateway.core.errors import Unavailable, UpstreamError, UpstreamTimeout
from gateway.providers.addresses import Address
from gateway.providers.connect import NEXT_ADDRESS_S, TUNNEL_HEAD_LIMIT
from gateway.providers.transport import LIFE_S, LIFE_SPREAD, Origin, Proxy, Transport
from gateway.resilience.timeouts import Timeouts
from tests.support.certificates import FOLDER
from tests.support.loops import in_virtual_time, on_every_loop
from tests.support.upstream import Peer, Script, Upstream, body_of, call, ok, upstream


def at(host: str, port: int) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))


def dead_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def ask(transport: Transport, origin: Origin, timeouts: Timeouts | None = None) -> bytes:
    return await body_of(await transport.send(call(origin, b"x", timeouts=timeouts)))


async def say_number(peer: Peer) -> None:
    """Answer each request with the number of its connection."""
    while True:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))


# Addresses


@on_every_loop
async def test_every_address_of_a_name_gets_connections_in_turn() -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"x", b"connection: close\r\n"))

    async with upstream(once) as one, upstream(once) as other:
        addresses = [at("127.0.0.1", served.origin.port) for served in (one, other)]
        transport = Transport(lookup=lambda *_: addresses)
        for _ in range(6):
            await ask(transport, Origin("replicas.test", 80))
        transport.close()
    assert (len(one.peers), len(other.peers)) == (3, 3)


@on_every_loop
async def test_a_dead_address_costs_no_request_and_is_not_asked_first_again() -> None:
    async with upstream(say_number) as served:
        looked_up = [at("127.0.0.1", dead_port()), at("127.0.0.1", served.origin.port)]
        transport = Transport(lookup=lambda *_: looked_up)
        origin = Origin("half-dead.test", 80)
        answers = await asyncio.gather(*(ask(transport, origin) for _ in range(10)))
        assert len(answers) == 10
        addresses = transport._connector._addresses
        assert [(await addresses.of("half-dead.test", 80))[0] for _ in range(4)] == [looked_up[1]] * 4
        transport.close()


@on_every_loop
async def test_an_address_that_swallows_everything_gets_a_rival_in_time() -> None:
    with swallowing() as port:
        async with upstream(say_number) as served:
            addresses = [at("127.0.0.1", port), at("127.0.0.1", served.origin.port)]
            transport = Transport(lookup=lambda *_: addresses)
            began = asyncio.get_running_loop().time()
            assert await ask(transport, Origin("swallowed.test", 80)) == b"0"
            assert asyncio.get_running_loop().time() - began < NEXT_ADDRESS_S + 2
            transport.close()


@contextmanager
def swallowing() -> Iterator[int]:
    """Yield a port whose backlog is full: connections to it wait."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        try:
            yield full.getsockname()[1]
        finally:
            for one in fillers:
                one.close()


@on_every_loop
async def test_a_client_that_leaves_says_nothing_about_the_addresses() -> None:
    with swallowing() as port:
        addresses = [at("127.0.0.1", port), at("127.0.0.2", port)]
        transport = Transport(lookup=lambda *_: addresses)
        task = asyncio.ensure_future(ask(transport, Origin("slow.test", 80)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport._connector._addresses._names["slow.test", 80].failed == {}
        transport.close()


@on_every_loop
async def test_addresses_on_which_the_connect_timeout_ran_out_are_tried_last() -> None:
    with swallowing() as port:
        addresses = [at("127.0.0.1", port)]
        transport = Transport(lookup=lambda *_: addresses)
        with pytest.raises(UpstreamTimeout):
            await ask(transport, Origin("slow.test", 80), Timeouts(connect_s=0.05))
        assert list(transport._connector._addresses._names["slow.test", 80].failed) == [addresses[0][4]]
        transport.close()


@on_every_loop
async def test_a_handshake_that_takes_too_long_is_no_failure_of_the_address() -> None:
    async def mute(peer: Peer) -> None:
        await peer.closed()

    async with upstream(mute) as served:
        addresses = [at("127.0.0.1", served.origin.port)]
        transport = Transport(lookup=lambda *_: addresses)
        with pytest.raises(UpstreamTimeout):
            await ask(transport, Origin("mute.test", 443, is_tls=True), Timeouts(connect_s=0.05))
        assert transport._connector._addresses._names["mute.test", 443].failed == {}
        transport.close()


@on_every_loop
async def test_all_addresses_dead_is_unavailable() -> None:
    transport = Transport(lookup=lambda *_: [at("127.0.0.1", dead_port()), at("127.0.0.1", dead_port())])
    with pytest.raises(Unavailable) as caught:
        await ask(transport, Origin("dead.test", 80))
    assert caught.value.error_code == "upstream_connect" and "127" not in caught.value.message
    transport.close()


@in_virtual_time
async def test_a_connection_is_used_for_some_minutes_only() -> None:
    """So that addresses that are gone are left, even where requests never pause."""
    loop = asyncio.get_running_loop()
    async with upstream(say_number) as served:
        transport, began = Transport(), loop.time()
        answers = set()
        while len(answers) < 2:
            answers.add(await ask(transport, served.origin))
            await asyncio.sleep(10)
        assert LIFE_S * (1 - LIFE_SPREAD) <= loop.time() - began <= LIFE_S + 20
        transport.close()


# Proxies


@asynccontextmanager
async def proxy_to(lookup: dict[str, int], answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator["ProxyDouble"]:
    double = ProxyDouble(lookup, answer)
    async with upstream(double.serve) as served:
        double.served = served
        yield double


class ProxyDouble:
    """A proxy that tunnels to ports of the loopback, by name."""

    def __init__(self, ports: dict[str, int], answer: bytes) -> None:
        self._ports = ports
        self._answer = answer
        self.heads: list[bytes] = []
        self.served: Upstream

    @property
    def proxy(self) -> Proxy:
        return Proxy("127.0.0.1", self.served.origin.port, "Basic " + b64encode(b"user:hush").decode())

    async def serve(self, peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        await peer.send(self._answer)
        host = head.split()[1].decode().rpartition(":")[0]
        if host not in self._ports:
            await peer.closed()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[host])

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.close()


@asynccontextmanager
async def tls_upstream(script: Script, clients: Path | None = None) -> AsyncIterator[int]:
    """Listen with the tests' certificate, which is for `localhost`; gives the port. `clients`: the certificate to ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "first.pem", FOLDER / "first.key")
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    served = Upstream(script)
    server = await asyncio.start_server(served.accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await served.stop()


TRUSTING = (FOLDER / "ca.pem").read_text()


@on_every_loop
async def test_tls_goes_through_a_tunnel_and_is_verified_against_the_provider() -> None:
    async with tls_upstream(say_number) as port, proxy_to({"localhost": port}) as double:
        transport = Transport()
        origin = Origin("localhost", 443, is_tls=True, proxy=double.proxy, tls="t", context=client_context(TRUSTING))
        assert [await ask(transport, origin) for _ in range(3)] == [b"0"] * 3
        (head,) = double.heads
        assert head.startswith(b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n")
        assert b"proxy-authorization: Basic dXNlcjpodXNo\r\n" in head
        assert "hush" not in repr(origin) and "dXNlcjpodXNo" not in repr(origin) + origin.route_key
        transport.close()


@on_every_loop
async def test_plain_http_is_sent_to_the_proxy_itself() -> None:
    async with upstream(say_number) as served:
        transport = Transport()
        proxy = Proxy("127.0.0.1", served.origin.port)
        assert await ask(transport, Origin("provider.test", 80, proxy=proxy)) == b"0"
        transport.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nsurplus",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * TUNNEL_HEAD_LIMIT,
    ],
)
@on_every_loop
async def test_a_proxy_that_lets_nobody_through_is_named_and_nothing_of_it_shown(answer: bytes) -> None:
    async with proxy_to({}, answer) as double:
        transport = Transport()
        origin = Origin("provider.test", 443, is_tls=True, proxy=double.proxy, context=client_context(TRUSTING))
        with pytest.raises(Unavailable) as caught:
            await ask(transport, origin)
        assert caught.value.error_code == "upstream_connect" and "proxy" in caught.value.message
        assert not any(word in caught.value.message for word in ("127", "provider.test", "hush", "dXNl"))
        transport.close()


@on_every_loop
async def test_a_proxy_that_says_nothing_runs_into_the_connect_clock() -> None:
    async def mute(peer: Peer) -> None:
        await peer.closed()

    async with upstream(mute) as served:
        transport = Transport()
        origin = Origin("p.test", 443, is_tls=True, proxy=Proxy("127.0.0.1", served.origin.port))
        with pytest.raises(UpstreamTimeout) as caught:
            await ask(transport, origin, Timeouts(connect_s=0.05))
        assert caught.value.error_code == "connect_timeout"
        await served.peers[0].gone.wait()
        transport.close()


@on_every_loop
async def test_the_way_is_part_of_what_connections_are_pooled_by() -> None:
    async with upstream(say_number) as served:
        transport = Transport()
        proxy = Proxy("127.0.0.1", served.origin.port)
        origins = [
            served.origin,
            Origin(served.origin.host, served.origin.port, proxy=proxy),
            Origin(served.origin.host, served.origin.port, tls="other"),
        ]
        assert [await ask(transport, origin) for origin in (*origins, *origins)] == [b"0", b"1", b"2"] * 2
        assert len({origin.route_key for origin in origins}) == 3
        transport.close()


# TLS


@pytest.mark.parametrize(
    ("host", "context"), [("127.0.0.1", client_context()), ("wrong.test", client_context(TRUSTING))]
)
@on_every_loop
async def test_a_provider_that_cannot_be_verified_is_not_spoken_to(host: str, context: ssl.SSLContext) -> None:
    async with tls_upstream(say_number) as port:
        transport = Transport(lookup=lambda *_: [at("127.0.0.1", port)])
        with pytest.raises(UpstreamError) as caught:
            await ask(transport, Origin(host, port, is_tls=True, tls="t", context=context))
        assert caught.value.error_code == "upstream_tls"
        transport.close()


@on_every_loop
async def test_a_certificate_is_shown_to_a_provider_that_asks_for_one(tmp_path: Path) -> None:
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=gw",
    ]
    subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)  # noqa: ASYNC221
    async with tls_upstream(say_number, cert) as port:
        transport = Transport()
        nobody = Origin("127.0.0.1", port, is_tls=True, tls="nobody", context=client_context(TRUSTING))
        with pytest.raises(UpstreamError):
            await ask(transport, nobody)
        context = client_context(TRUSTING, cert.read_text(), key.read_text())
        assert await ask(transport, Origin("127.0.0.1", port, is_tls=True, tls="gw", context=context)) == b"0"
        transport.close()


def test_the_systems_authorities_are_those_of_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    (authority,) = client_context().get_ca_certs()
    assert authority["subject"] == client_context(TRUSTING).get_ca_certs()[0]["subject"]


def test_an_encrypted_key_is_no_question_at_the_terminal() -> None:
    with pytest.raises(ClientTlsError, match="is encrypted") as caught:
        client_context("", (FOLDER / "first.pem").read_text(), (FOLDER / "encrypted.key").read_text())
    assert caught.value.part == "key"
