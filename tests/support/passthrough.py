"""The public listener over the real transport, before a provider that does what a script says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aiohttp import web

from gateway.api.app import make_runner
from gateway.core.clock import SystemClock
from gateway.core.exchange import Exchange
from gateway.providers.transport import Transport
from tests.support.raw import RawClient
from tests.support.replay import ReplayWorker, until
from tests.support.serving import loopback_listener
from tests.support.upstream import Peer, Script, Upstream, upstream

KEY = "client-key-of-media"
PROVIDER_KEYS = ("provider-key-1", "provider-key-2")
WITH_KEY = {"authorization": f"Bearer {KEY}"}

CONFIG = """
version: 1
server: {{limits: {{upload: 4MiB, body_timeout: 300ms, write_timeout: 300ms}}}}
providers:
  p: {{kind: openai, url: "http://127.0.0.1:{port}/v1", keys: [{keys}], timeout: {{idle: 300ms, answer: 400ms}}}}
  quiet: {{kind: anthropic, url: "http://127.0.0.1:{port}", key: k-2}}
models:
  ranker: {{provider: p, id: rank-1, price: {{input: 2, output: 0}}}}
  "pic-*": {{provider: p, price: {{input: 1, output: 4}}}}
defaults: {{retry: {{backoff: 1ms}}}}
routes:
  - {{name: chat, match: [auto], to: ranker}}
  - {{name: staff, paths: [/v1/batches], provider: p, when: 'labels.plan == "staff"'}}
  - {{name: messages, paths: [/v1/messages/batches], provider: quiet}}
  - {{name: reading, paths: ["/v1/vector*"], provider: p, methods: [GET]}}
  - {{name: rest, paths: ["/v1/files*", "/v1/audio/*", "/v1/rerank", "/v1/pictures"], provider: p}}
tenants:
  media: {{keys: ["sha256:{hash}"], models: [none-of-them-*]}}
"""


@dataclass
class PassthroughServer:
    """What serves, and whom it asks."""

    line: ReplayWorker
    port: int
    upstream: Upstream

    def connect(self) -> RawClient:
        return RawClient(self.port)

    async def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Ask once, on a connection of its own."""
        async with self.connect() as client:
            client.request(method, path, body, {**WITH_KEY, **(headers or {})})
            return await client.read_answer(is_head=method == "HEAD")

    @property
    def filed(self) -> list[Exchange]:
        return self.line.reporter.filed

    async def last(self) -> Exchange:
        """Give the exchange that was filed last, once one is there and none runs."""
        await until(lambda: not self.line.services.running and bool(self.filed))
        return self.filed[-1]


@asynccontextmanager
async def passthrough_server(
    script: Script, *, keys: int = 1, edit: Callable[[str], str] = str
) -> AsyncIterator[PassthroughServer]:
    """Serve `CONFIG` (as `edit` makes it) before a provider that plays `script`."""
    async with upstream(script) as provider:
        names = ", ".join(PROVIDER_KEYS[:keys])
        text = CONFIG.format(port=provider.origin.port, keys=names, hash=sha256(KEY.encode()).hexdigest())
        line = ReplayWorker(edit(text), SystemClock())
        line.services.transport = Transport()
        runner = make_runner(line.services)
        await runner.setup()
        listener = loopback_listener()
        await web.SockSite(runner, listener).start()
        try:
            yield PassthroughServer(line, listener.getsockname()[1], provider)
        finally:
            await runner.cleanup()
            await line.services.tasks.close()
            line.services.transport.close()


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as the provider heard it."""

    line: str
    headers: dict[str, str]
    body: bytes


async def receive_head(peer: Peer) -> ReceivedRequest:
    """Read the head of a request; no header may stand twice but `via`."""
    raw = await peer.reader.readuntil(b"\r\n\r\n")
    line, *rest = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for one in rest:
        name, _, value = one.partition(": ")
        assert name not in headers or name == "via", f"{name} stands twice"
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ReceivedRequest(line, headers, b"")


async def receive_request(peer: Peer) -> ReceivedRequest:
    """Read a request whole."""
    head = await receive_head(peer)
    if head.headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await peer.reader.readline(), 16):
            body += (await peer.reader.readexactly(size + 2))[:-2]
        assert await peer.reader.readline() == b"\r\n"
    else:
        body = await peer.reader.readexactly(int(head.headers.get("content-length", 0)))
    return ReceivedRequest(head.line, head.headers, body)


async def wait_soon(event: asyncio.Event) -> None:
    """Wait for what must happen within a second or two."""
    async with asyncio.timeout(2):
        await event.wait()
