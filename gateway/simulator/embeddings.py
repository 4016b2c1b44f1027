"""Embeddings: unit vectors that depend on the text only.

Shapes: https://platform.openai.com/docs/api-reference/embeddings.
"""

import struct
from base64 import b64encode
from collections.abc import Mapping
from hashlib import shake_256
from math import sqrt
from typing import Any, ClassVar, Final, Literal

import msgspec

from gateway.simulator.chat import ChatConventions, model_of
from gateway.simulator.completions import read_prompts
from gateway.simulator.handler import StreamedBody
from gateway.simulator.model_output import ModelOutput, encode
from gateway.simulator.request import BadRequest, SimulatedRequest, decode_body

MAX_INPUTS: Final = 2048


class _Body(msgspec.Struct):
    input: str | list[Any]
    model: str = ""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class Embeddings(ChatConventions):
    """`POST /v1/embeddings`: `input` is a text, tokens, or a list of either; one empty input fails the whole call."""

    path: ClassVar[str] = "/v1/embeddings"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        read = decode_body(body, _BODY, "request for embeddings")
        inputs = read_prompts(read.input)
        if not all(text for text, _ in inputs):
            raise BadRequest("'$.input' is invalid: an input must not be empty")
        if len(inputs) > MAX_INPUTS:
            raise BadRequest(f"'$.input' is invalid: at most {MAX_INPUTS} inputs (got {len(inputs)})")
        if read.dimensions is not None and read.dimensions < 1:
            raise BadRequest("'$.dimensions' is invalid: must be 1 or more")
        return SimulatedRequest(
            model=model_of(read.model, params),
            words=max(1, sum(tokens for _, tokens in inputs)),
            inputs=len(inputs),
            extra={
                "texts": [text for text, _ in inputs],
                "dimensions": read.dimensions,
                "is_base64": read.encoding_format == "base64",
            },
        )

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        extra, behaviour = output.request.extra, output.behaviour
        dimensions = extra["dimensions"] or behaviour.dimensions
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encode_vector(vector(text, dimensions), extra["is_base64"]),
            }
            for index, text in enumerate(extra["texts"])
        ]
        body: dict[str, Any] = {"object": "list", "data": data, "model": output.request.model}
        if not behaviour.no_usage:
            body["usage"] = {"prompt_tokens": output.prompt_tokens, "total_tokens": output.prompt_tokens}
        return encode(body)


def vector(text: str, dimensions: int) -> tuple[float, ...]:
    """Return the embedding of a text: float32 [dimensions], length 1."""
    numbers = struct.unpack(f"<{dimensions}h", shake_256(text.encode()).digest(2 * dimensions))
    length = sqrt(sum(number * number for number in numbers)) or 1.0
    return struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(number / length for number in numbers)))


def _encode_vector(numbers: tuple[float, ...], is_base64: bool) -> Any:
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if is_base64 else numbers
