"""Where a provider listens, and the way there."""

import ssl
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy between the gateway and a provider. `authorization`: the value of its header, "" for none."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a provider listens: host and port, or the path of a Unix socket; and how to get there.

    Connections are pooled by it, so all that makes two connections differ is part of it: `tls` stands for the settings that
    made `context`, which itself is made anew with every configuration. Without a context the system's certificates hold.
    """

    host: str = ""
    port: int = 0
    unix: str = ""
    is_tls: bool = False
    proxy: Proxy | None = None
    tls: str = ""
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)

    @property
    def way(self) -> str:
        """Give what stands for the way there, with no secret in it."""
        proxy = self.proxy
        by = "" if proxy is None else f"{proxy.host}:{proxy.port} {sha256(proxy.authorization.encode()).hexdigest()}"
        return f"{self.tls} {by}"

    def __hash__(self) -> int:
        """Looked up for every request, so over what mostly differs only."""
        return hash((self.host, self.port, self.unix))
