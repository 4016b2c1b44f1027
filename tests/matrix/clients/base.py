"""What all Python clients share: one at a time with the synchronous client, several at once with the asynchronous one."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

import msgspec

from tests.matrix.asks import Ask, Failed, Said

DIRECT_KEY: Final = "key-of-a-provider-0123456789"


@dataclass(frozen=True)
class Server:
    """Who is asked: the gateway or a provider. `is_strict`: its answers are held to the client's types."""

    url: str  # without `/v1`
    key: str = DIRECT_KEY
    is_strict: bool = False
    wants_x_api_key: bool = False  # and does not look at what else the client sends

    @property
    def headers(self) -> dict[str, str]:
        """What a client has to send on top."""
        return {"x-api-key": self.key} if self.wants_x_api_key else {}


class Client(Protocol):
    """An official client in one of its dialects."""

    @property
    def name(self) -> str: ...

    @property
    def dialect(self) -> str: ...

    def ask(self, server: Server, ask: Ask) -> Said: ...

    def ask_at_once(self, server: Server, asks: Sequence[Ask]) -> list[Said]:
        """Ask all at the same time, with the asynchronous client."""
        ...


@dataclass
class Gathered:
    """A stream as it comes in."""

    final: Any = None  # what the client puts together
    pieces: int = 0
    argument_pieces: int = 0
    events: list[Any] = field(default_factory=list)


class PythonClient(ABC):
    """Subclasses say how a dialect is asked and read; what is thrown, left and counted is the same for all."""

    name: ClassVar[str]
    dialect: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]  # what callers catch; then what escapes the package all the same

    def __init__(self) -> None:
        self._sync: dict[Server, Any] = {}

    @abstractmethod
    def make(self, server: Server, *, is_async: bool) -> Any:
        """Give a client of the package; it never tries twice."""

    @abstractmethod
    def params(self, ask: Ask) -> dict[str, Any]: ...

    @abstractmethod
    def create(self, client: Any) -> Callable[..., Any]: ...

    @abstractmethod
    def open_stream(self, client: Any, params: dict[str, Any]) -> Any:
        """Give the package's helper that puts a stream together, as a context or as what gives one."""

    @abstractmethod
    def count(self, event: Any, gathered: Gathered) -> None:
        """Count an event of a stream by what it brings."""

    @abstractmethod
    def final(self, stream: Any, gathered: Gathered) -> Any:
        """Give what a stream amounts to; may be awaitable."""

    def rescue(self, error: Exception) -> Any:
        """Give the answer that an error of a stream's helper holds; None for none."""
        return None

    @abstractmethod
    def read(self, answer: Any) -> Said: ...

    def ask(self, server: Server, ask: Ask) -> Said:
        client = self._sync.get(server)
        if client is None:
            client = self._sync[server] = self.make(server, is_async=False)
        gathered = Gathered()
        try:
            if not ask.stream:
                return self.read(self.create(client)(**self.params(ask)))
            with self.open_stream(client, self.params(ask)) as stream:
                for event in stream:
                    self.count(event, gathered)
                    if ask.leaves and gathered.pieces:
                        return Said(pieces=gathered.pieces)
                answer = self.final(stream, gathered)
            return self._of_stream(answer, gathered)
        except self.errors as error:
            return self._failed(error, gathered)

    def ask_at_once(self, server: Server, asks: Sequence[Ask]) -> list[Said]:
        async def main() -> list[Said]:
            async with self.make(server, is_async=True) as client:
                return await asyncio.gather(*(self._ask_async(client, ask) for ask in asks))

        return asyncio.run(main())

    def close(self) -> None:
        for client in self._sync.values():
            client.close()

    async def _ask_async(self, client: Any, ask: Ask) -> Said:
        gathered = Gathered()
        try:
            if not ask.stream:
                return self.read(await self.create(client)(**self.params(ask)))
            opened = self.open_stream(client, self.params(ask))
            if not hasattr(opened, "__aenter__"):
                opened = await opened
            async with opened as stream:
                async for event in stream:
                    self.count(event, gathered)
                answer = self.final(stream, gathered)
                if asyncio.iscoroutine(answer):
                    answer = await answer
            return self._of_stream(answer, gathered)
        except self.errors as error:
            return self._failed(error, gathered)

    def _of_stream(self, answer: Any, gathered: Gathered) -> Said:
        said = self.read(answer)
        return msgspec.structs.replace(said, pieces=gathered.pieces, argument_pieces=gathered.argument_pieces)

    def _failed(self, error: Exception, gathered: Gathered) -> Said:
        answer = self.rescue(error)
        if answer is not None:
            return self._of_stream(answer, gathered)
        status = getattr(error, "status_code", None)
        has_id = getattr(error, "request_id", None) is not None
        failed = Failed(type(error).__name__, status, _message_of(error), has_id)
        return Said(failed=failed, pieces=gathered.pieces)


STOPS: Final = {
    "stop": "end",
    "end_turn": "end",
    "completed": "end",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_calls": "tool_use",
}


def stop_of(word: str | None) -> str:
    """Give the reason to stop in the words of `Said`."""
    return STOPS.get(word or "", word or "")


def _message_of(error: Exception) -> str:
    """Give the server's own words, where they are in the error."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    return str(inner.get("message", error)) if isinstance(inner, dict) else str(error)
