"""The certificates of listeners, as contexts to serve with."""

import ssl
from collections.abc import Callable

from gateway.config.spec import Listen
from gateway.core.tls import reloading_context, server_context


def context_of(listen: Listen) -> ssl.SSLContext | None:
    """Give the context with the certificate of a listener; None where it has none. Some milliseconds of CPU."""
    return None if listen.tls is None else server_context(listen.tls.cert, listen.tls.key.value)


def context_for(listen: Listen, current: Callable[[], ssl.SSLContext | None]) -> ssl.SSLContext | None:
    """Give the context to serve `listen` with: each handshake shows the certificate that is `current` then.

    Whether there is TLS at all is static, so where the listener began with it `current` has one.
    """

    def certain() -> ssl.SSLContext:
        context = current()
        assert context is not None
        return context

    return None if listen.tls is None else reloading_context(certain)
