"""TLS of connections to providers, from texts in PEM. The server's certificate is always verified; no setting turns that off."""

import ssl
from typing import Final, Literal

from gateway.core.tls import PROTOCOLS, readable_path

Part = Literal["ca", "cert", "key"]


class ClientTlsError(Exception):
    """A certificate or key is unusable. `part` says which, the message why; the message quotes neither."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part: Final = part


def client_context(ca: str = "", cert: str = "", key: str = "") -> ssl.SSLContext:
    """Return a context that trusts the authorities in `ca` only; without `ca`, those of the system.

    The system's authorities are OpenSSL's; `SSL_CERT_FILE` and `SSL_CERT_DIR` override them. `cert` and `key`, if not empty,
    are the client certificate. Takes some milliseconds of CPU. Raises `ClientTlsError`.
    """
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError):
        raise ClientTlsError("ca", "holds no certificate in PEM") from None
    if ca and not context.get_ca_certs():  # it holds certificates, but none that may sign others
        raise ClientTlsError("ca", "holds no certificate of an authority")
    context.set_alpn_protocols(list(PROTOCOLS))
    if cert:
        _load_client_certificate(context, cert, key)
    return context


def _load_client_certificate(context: ssl.SSLContext, cert: str, key: str) -> None:
    if "-----BEGIN CERTIFICATE-----" not in cert:
        raise ClientTlsError("cert", "holds no certificate in PEM")
    try:
        with readable_path(cert) as cert_path, readable_path(key) as key_path:
            context.load_cert_chain(
                cert_path, key_path, password=""
            )  # otherwise OpenSSL prompts for one on the terminal
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ClientTlsError("key", "is not the key of the certificate") from None
        if "ENCRYPTED" in key:
            raise ClientTlsError("key", "is encrypted, and the gateway has no password for it; decrypt it") from None
        raise ClientTlsError("key", "and its certificate can't be used") from None
