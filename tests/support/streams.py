"""Test doubles for both ends of a relay, and chat completion events to send through it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.exchange import Meter
from gateway.dialects import openai_chat
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.relay import EventStream
from gateway.streaming.timers import AttemptTimers

DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    """Return one event of a chat completion."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
FINISH = chunk(finish="stop")
USAGE = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
ERROR = b'data: {"error":{"message":"it broke","type":"server_error","param":null,"code":null}}\n\n'


def text(content: str, **more: Any) -> bytes:
    """Return one event with content."""
    return chunk({"content": content}, **more)


class FakeSource:
    """The provider's side: records pauses; sends nothing once closed."""

    def __init__(
        self, timeouts: Timeouts | None = None, *, total_at: float | None = None, write_timeout_s: float = 60.0
    ) -> None:
        self.is_paused = self.is_closed = False
        self.pauses = 0
        self.sink: EventStream | None = None
        self.timers = AttemptTimers(
            timeouts or Timeouts(), is_stream=True, total_at=total_at, write_timeout_s=write_timeout_s, expire=self.fail
        )

    def pause(self) -> None:
        self.pauses += not self.is_paused
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True
        self.timers.stop()

    def fail(self, error: GatewayError) -> None:
        self.close()
        assert self.sink is not None
        self.sink.finish(error)

    def send(self, data: bytes) -> None:
        """Send as a connection does: updates the timers, sends nothing once closed."""
        assert self.sink is not None
        if not self.is_closed:
            self.timers.last_at = asyncio.get_running_loop().time()
            self.sink.feed(data)

    def end(self, error: GatewayError | None = None) -> None:
        """End the response, normally or with an error."""
        assert self.sink is not None
        if not self.is_closed:
            self.close()
            self.sink.finish(error)


class FakeReply:
    """The client's side: keeps every write; `room` is the number of bytes it takes before `drain`, None: unlimited."""

    def __init__(self, room: int | None = None) -> None:
        self.writes: list[bytes] = []
        self.on_drain: Callable[[], None] | None = None
        self.room = room
        self._waiting = 0

    def write(self, data: bytes) -> bool:
        assert data, "an empty chunk would end the answer"
        self.writes.append(data)
        self._waiting += len(data)
        return self.room is None or self._waiting <= self.room

    def drain(self) -> None:
        """Take all waiting bytes."""
        self._waiting = 0
        on_drain, self.on_drain = self.on_drain, None
        if on_drain is not None:
            on_drain()

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)


def open_stream(
    source: FakeSource, meter: Meter | None = None, *, hides_usage: bool = True, choices: int = 1, limit: int = 2**20
) -> EventStream:
    """Return the event stream of a source."""
    codec = openai_chat.read_stream(meter or Meter(), hides_usage=hides_usage, choices=choices)
    source.sink = EventStream(source, codec, limit)
    return source.sink
