"""Where a provider listens, and how to connect: proxy and TLS."""

import ssl
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy between the gateway and a provider. `authorization`: the value of `proxy-authorization`, "" for none."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Host and port, or the path of a Unix socket; and how to connect.

    It is the key of the connection pools, so everything that distinguishes two connections is part of it. `tls` is the
    fingerprint of the settings behind `context`, since every configuration makes a new context. Without a context the system's
    certificates hold.
    """

    host: str = ""
    port: int = 0
    unix: str = ""
    is_tls: bool = False
    proxy: Proxy | None = None
    tls: str = ""
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)

    @property
    def route_key(self) -> str:
        """Return a key of the proxy and TLS settings; it contains no secret."""
        proxy = self.proxy
        via = "" if proxy is None else f"{proxy.host}:{proxy.port} {sha256(proxy.authorization.encode()).hexdigest()}"
        return f"{self.tls} {via}"

    def __hash__(self) -> int:
        """Hash only the fields that usually differ: the pool is looked up for every request."""
        return hash((self.host, self.port, self.unix))
