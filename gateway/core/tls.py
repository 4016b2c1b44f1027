"""TLS of listeners, from texts in PEM."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final, Literal

PROTOCOLS: Final = ("http/1.1",)


class TlsError(Exception):
    """A certificate or key is unusable. `part` says which, the message why; the message quotes neither."""

    def __init__(self, part: Literal["cert", "key"], message: str) -> None:
        super().__init__(message)
        self.part: Final = part


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """Return the context of a listener: TLS 1.2 or later, HTTP/1.1.

    `cert`: the certificate, followed by its chain; `key`: its private key, unencrypted. Raises `TlsError`.
    """
    _check_certificate(cert)
    context = _bare_context()
    try:
        with readable_path(cert) as cert_path, readable_path(key) as key_path:
            context.load_cert_chain(
                cert_path, key_path, password=""
            )  # otherwise OpenSSL prompts for one on the terminal
    except ssl.SSLError as error:
        raise _tls_error(error, key) from None
    return context


def reloading_context(current: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return a context that presents the certificate of `current()` as of each handshake.

    So a reload replaces the certificate of an open listener, and existing connections go on.
    """

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = current()

    context = _bare_context()
    context.sni_callback = choose  # also called for clients that send no server name
    return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(PROTOCOLS))
    return context


def _check_certificate(cert: str) -> None:
    only_ascii = cert.encode("ascii", "ignore").decode()  # comments beside the certificates may hold other characters
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=only_ascii)
    except (ssl.SSLError, ValueError):
        raise TlsError("cert", "holds no certificate in PEM") from None


def _tls_error(error: ssl.SSLError, key: str) -> TlsError:
    reason = error.reason or ""
    if "ENCRYPTED" in key:
        return TlsError("key", "is encrypted, and the gateway has no password for it; decrypt it")
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        return TlsError("key", "is not the key of the certificate")
    if reason.startswith(("EE_", "CA_")):  # too weak for OpenSSL's security level
        return TlsError("cert", f"is refused by OpenSSL ({reason.lower().replace('_', ' ')})")
    return TlsError("key", "holds no private key in PEM")


@contextmanager
def readable_path(text: str) -> Iterator[str]:
    """Yield a path to read `text` from: Python's ssl accepts files only. The file has no name, so no key stays on disk."""
    with TemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        file.seek(0)  # on systems where opening the path shares the position
        yield f"/dev/fd/{file.fileno()}"
