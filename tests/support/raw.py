"""A client on the test's own loop that hides nothing: bytes out, heads and chunks in."""

import asyncio
from typing import Self

from tests.support.http import CHAT, Answer, Body, Head, chat_body, request_bytes

TIMEOUT_S = 5.0


class RawClient:
    """One connection. A context: opens and closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def sent(self) -> None:
        """Let the other side take what was sent, as a piece of its own."""
        await self._writer.drain()
        for _ in range(5):
            await asyncio.sleep(0)

    def request(self, method: str, path: str, body: Body = None, headers: dict[str, str] | None = None) -> None:
        self.send(request_bytes(method, path, body, headers))

    def chat(self, model: str = "auto", headers: dict[str, str] | None = None, **fields: object) -> None:
        """Ask for a chat completion."""
        self.request("POST", CHAT, chat_body(model, **fields), headers)

    async def read_head(self) -> Head:
        """Read one head, interim ones too."""
        async with asyncio.timeout(TIMEOUT_S):
            raw = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        assert first.startswith("HTTP/"), first
        return Head(int(first.split(" ")[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs))

    async def read_answer(self, *, is_head: bool = False) -> Answer:
        """Read one whole answer; `is_head`: it has no body."""
        head = await self.read_head()
        if is_head:
            return Answer(head, b"")
        async with asyncio.timeout(TIMEOUT_S):
            if head.get("transfer-encoding") == "chunked":
                return Answer(head, await self._read_chunks())
            length = head.get("content-length")
            return Answer(
                head, await (self._reader.read() if length is None else self._reader.readexactly(int(length)))
            )

    async def read_chunk(self) -> bytes:
        """Read one chunk of a body; b"" is the last."""
        async with asyncio.timeout(TIMEOUT_S):
            size = int(await self._reader.readline(), 16)
            return (await self._reader.readexactly(size + 2))[:-2]

    async def read_rest(self) -> bytes:
        """Read until the other side ends the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def _read_chunks(self) -> bytes:
        parts = []
        while part := await self.read_chunk():
            parts.append(part)
        return b"".join(parts)
