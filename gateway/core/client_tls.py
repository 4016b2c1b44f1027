"""The client's side of TLS, from texts in PEM. What is at the other end is always verified; there is no switch for that."""

import ssl
from typing import Final, Literal

from gateway.core.tls import readable_path

PROTOCOLS: Final = ("http/1.1",)

Part = Literal["ca", "cert", "key"]


class ClientTlsError(Exception):
    """A text can't be used; `part` says which, the message why. It holds nothing of it."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part: Final = part


def client_context(ca: str = "", cert: str = "", key: str = "") -> ssl.SSLContext:
    """Give a context that trusts the authorities in `ca` and no others; without any those of the system.

    The system's are OpenSSL's: `SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise. `cert` and `key`, where given, say who
    asks. Some milliseconds of CPU. Raises `ClientTlsError`.
    """
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError):
        raise ClientTlsError("ca", "holds no certificate in PEM") from None
    if ca and not context.get_ca_certs():  # it holds certificates, but none that may sign others
        raise ClientTlsError("ca", "holds no certificate of an authority")
    context.set_alpn_protocols(list(PROTOCOLS))
    if cert:
        _show(context, cert, key)
    return context


def _show(context: ssl.SSLContext, cert: str, key: str) -> None:
    if "-----BEGIN CERTIFICATE-----" not in cert:
        raise ClientTlsError("cert", "holds no certificate in PEM")
    try:
        with readable_path(cert) as cert_path, readable_path(key) as key_path:
            context.load_cert_chain(cert_path, key_path, password="")  # else OpenSSL asks the terminal for one
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ClientTlsError("key", "is not the key of the certificate") from None
        if "ENCRYPTED" in key:
            raise ClientTlsError("key", "is encrypted, and nobody is there to give the password; decrypt it") from None
        raise ClientTlsError("key", "and its certificate can't be used") from None
