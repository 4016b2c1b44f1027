"""Certificates for tests; `tests/support/tls/README.md` says what they are."""

import shutil
import socket
import ssl
from pathlib import Path
from typing import Any, Final, Literal

FOLDER: Final = Path(__file__).parent / "tls"

Name = Literal["first", "second"]


def install(name: Name, folder: Path) -> None:
    """Put a certificate and its key into a folder, as `tls.crt` and `tls.key`; over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FOLDER / f"{name}.pem", folder / "tls.crt")
    shutil.copyfile(FOLDER / f"{name}.key", folder / "tls.key")


def trusting_context() -> ssl.SSLContext:
    """Give the context of a client that trusts the tests' authority and nobody else."""
    return ssl.create_default_context(cafile=str(FOLDER / "ca.pem"))


def connect(port: int, context: ssl.SSLContext | None = None, *, name: str | None = "localhost") -> ssl.SSLSocket:
    """Connect to the loopback and shake hands; `name` None: say no server's name."""
    context = context or trusting_context()
    context.check_hostname = name is not None
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def shown_certificate(connection: ssl.SSLSocket) -> str:
    """Give the name of the certificate that the other side has shown."""
    certificate: Any = connection.getpeercert()
    return str(dict(pair for entry in certificate["subject"] for pair in entry)["commonName"])
