"""The TLS certificates of listeners, as SSL contexts."""

import ssl
from collections.abc import Callable

from gateway.config.spec import Listen
from gateway.core.tls import reloading_context, server_context


def context_of(listen: Listen) -> ssl.SSLContext | None:
    """Return the context with the certificate of a listener; None where it has none. Takes milliseconds of CPU."""
    return None if listen.tls is None else server_context(listen.tls.cert, listen.tls.key.value)


def context_for(listen: Listen, current: Callable[[], ssl.SSLContext | None]) -> ssl.SSLContext | None:
    """Return the context to serve `listen` with: each handshake shows the certificate that is `current` then.

    Whether a listener has TLS is static. So where the listener began with TLS, `current` never returns None.
    """

    def certain() -> ssl.SSLContext:
        context = current()
        assert context is not None
        return context

    return None if listen.tls is None else reloading_context(certain)
