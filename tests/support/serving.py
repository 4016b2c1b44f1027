"""A public listener on the test's own loop."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.api.connection import ClientConnection, ClientServer
from tests.support.raw import RawClient
from tests.support.replay import ReplayWorker

OPEN_CONFIG = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
  b: {kind: openai, url: "http://b.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  mock-*: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
defaults: {timeout: {first_token: 1s, answer: 1s}}
pools:
  main: {members: [m-a, m-b], retry: {attempts: 2}}
routes:
  - {name: all, match: [auto], to: main}
  - {name: direct, match: [m-a, m-b, "mock-*"], to: requested}
"""
"""Without tenants: `auto` goes to one endpoint, then to another."""

KEY = "key-of-acme"
WITH_KEY = {"authorization": f"Bearer {KEY}"}
TENANT_CONFIG = f"{OPEN_CONFIG}tenants: {{acme: {{keys: ['sha256:{sha256(KEY.encode()).hexdigest()}'], models: [auto, 'mock-*']}}}}\n"
"""The same for one tenant, which may ask for `auto` and `mock-*`."""


@dataclass
class Serving:
    """What serves, and where."""

    line: ReplayWorker
    port: int
    server: ClientServer

    def connect(self) -> RawClient:
        return RawClient(self.port)

    @property
    def connection(self) -> ClientConnection:
        """The one connection that is open."""
        (connection,) = self.server.connections
        assert isinstance(connection, ClientConnection)
        return connection


ServeText = Callable[[str], Awaitable[Serving]]


def loopback_listener() -> socket.socket:
    """Give a listening socket on a free port of the loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener
