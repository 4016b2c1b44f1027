"""TLS contexts for connections to providers: one for each distinct setting in a configuration."""

import ssl
from hashlib import sha256

from gateway.config.spec import ClientTlsSpec
from gateway.core.client_tls import client_context


class TlsContexts:
    """Makes contexts, off the request path; equal settings share one."""

    def __init__(self) -> None:
        self._made: dict[ClientTlsSpec | None, ssl.SSLContext] = {}

    def of(self, tls: ClientTlsSpec | None) -> ssl.SSLContext:
        """Return the context for a provider's settings."""
        context = self._made.get(tls)
        if context is None:
            context = (
                client_context() if tls is None else client_context(tls.ca, tls.cert, tls.key.value if tls.key else "")
            )
            self._made[tls] = context
        return context


def tls_fingerprint(tls: ClientTlsSpec | None) -> str:
    """Return the key of settings in a connection pool; "" for the system's settings."""
    if tls is None:
        return ""
    key = tls.key.value if tls.key else ""
    return sha256("\0".join((tls.ca, tls.cert, key)).encode("utf-8", "surrogatepass")).hexdigest()
