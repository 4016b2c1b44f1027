"""A provider of embeddings: vectors that follow from the input alone, and a memory of every call."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.dialects.openai_embeddings import decode_request
from gateway.providers.transport import UpstreamResponse, WireRequest
from tests.support.replay import ReplayTransport, ScriptedResponse, full_response

Input = str | list[int]

BAD_INPUT = "bad"
"""An input that fails the whole call."""


def vector(given: Input) -> list[float]:
    """Give what stands for an input."""
    numbers = list(given.encode()) if isinstance(given, str) else given
    return [len(numbers) + 0.5, sum(numbers) / 256, *numbers[:4]]


def tokens(given: Input) -> int:
    """Give what the provider counts for an input."""
    return len(given.split()) + 1 if isinstance(given, str) else len(given)


def inputs_in(body: dict[str, Any]) -> list[Input]:
    """Give the inputs of a request, however they are written."""
    given = body["input"]
    return given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]


def answer(inputs: Sequence[Input], model: str = "e", **usage: int) -> dict[str, Any]:
    """Give the answer to a call."""
    count = sum(map(tokens, inputs))
    data = [{"object": "embedding", "index": at, "embedding": vector(one)} for at, one in enumerate(inputs)]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": count, "total_tokens": count} | usage,
    }


def request(given: Any, model: str = "e", **fields: Any) -> ChatRequest:
    """Give a request that has been read."""
    return decode_request(json.dumps({"model": model, "input": given, **fields}).encode())


def error_response(message: str, status: int = 400, **headers: str) -> ScriptedResponse:
    """Play a refusal in OpenAI's shape."""
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": "input", "code": None}})
    return full_response(body.encode(), status, **headers)


class EmbeddingTransport(ReplayTransport):
    """Answers every call after `takes_s`: what `play` gives for it, else its vectors, or 400 where an input is `BAD_INPUT`."""

    def __init__(self, takes_s: float = 0.0) -> None:
        super().__init__()
        self.takes_s = takes_s
        self.bodies: list[dict[str, Any]] = []
        self.cancelled = 0
        self.play: Callable[[list[Input]], ScriptedResponse | None] = lambda inputs: None

    @property
    def sizes(self) -> list[int]:
        """How many inputs each call had."""
        return [len(inputs_in(body)) for body in self.bodies]

    async def send(self, call: WireRequest) -> UpstreamResponse:
        body = json.loads(call.body)
        inputs = inputs_in(body)
        self.bodies.append(body)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        play = self.play(inputs)
        if play is None:
            bad = BAD_INPUT in inputs
            play = (
                error_response("an input is bad")
                if bad
                else full_response(json.dumps(answer(inputs, body["model"])).encode())
            )
        self.plays[call.origin.host] = [play]
        return await super().send(call)
