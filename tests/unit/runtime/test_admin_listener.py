"""The admin listener speaks TLS where it has a certificate, and a new one from the next connection on."""

import asyncio
import socket
import ssl
from typing import Any

from gateway.config.spec import Listen, TlsSpec
from gateway.core.secret import Secret
from gateway.runtime.admin_listener import AdminListener
from tests.support.certificates import FOLDER, trusting_context
from tests.support.http import request_bytes


class Ready:
    """As much of control as `/ready` asks of it."""

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {"ready": True}


def listen(name: str) -> Listen:
    pem, key = ((FOLDER / f"{name}.{ending}").read_text() for ending in ("pem", "key"))
    return Listen("127.0.0.1", 1, tls=TlsSpec(pem, Secret(key)))


async def ask(port: int, tls: ssl.SSLContext | None) -> tuple[bytes, str]:
    """Give the first line of `/ready`, and whose certificate was shown."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    certificate = (writer.get_extra_info("peercert") or {}).get("subject", [[["", ""]]])
    writer.write(request_bytes("GET", "/ready"))
    first = await reader.readline()
    writer.transport.abort()
    return first, certificate[0][0][1]


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on() -> None:
    public, private = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    acceptors = AdminListener(Ready())  # type: ignore[arg-type]
    await acceptors.open([public], listen("first"), Secret("key"), [private])
    port = public.getsockname()[1]
    assert await ask(port, trusting_context()) == (b"HTTP/1.1 200 OK\r\n", "first")
    acceptors.renew(listen("second"))
    assert await ask(port, trusting_context()) == (b"HTTP/1.1 200 OK\r\n", "second")
    assert await ask(private.getsockname()[1], None) == (b"HTTP/1.1 200 OK\r\n", "")
    await acceptors.close()
