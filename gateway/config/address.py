"""Addresses to listen on, and the certificates that belong to them."""

from dataclasses import dataclass

from gateway.core.secret import Secret


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """A certificate with its chain, and its private key, both as PEM text: the files are read once, when they are checked."""

    cert: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Listen:
    """One address: TCP (`host`, `port`) or a Unix socket (`path`, with `mode` and `owner`)."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: TlsSpec | None = None
    mode: int | None = None  # permissions of the socket's file; None: the umask decides
    owner: str = ""  # user, user:group or :group

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        is_loopback = self.host.startswith("127.") and self.host.replace(".", "").isdigit()
        return bool(self.path) or self.host in ("localhost", "::1") or is_loopback

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
