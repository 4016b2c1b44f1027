"""OpenAI's small endpoints: each takes JSON and returns one JSON document, except speech, which streams bytes."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from itertools import islice, repeat
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.chat import ChatConventions, model_of
from gateway.simulator.handler import StreamedBody
from gateway.simulator.model_output import ModelOutput, encode
from gateway.simulator.request import SimulatedRequest, decode_body, words_of

SOUND: Final = "audio/mpeg"
BYTES: Final = "application/octet-stream"
CHUNK_BYTES: Final = 1024  # of a binary stream, unless `bytes` is set

_PIXEL: Final = b64encode(b"\x89PNG\r\n\x1a\nsimulated").decode()
_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class _Document(ChatConventions):
    """Keeps the whole body, a JSON object, in `extra`."""

    @classmethod
    def read_request(cls, body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        fields = decode_body(body, _OBJECT, "JSON object") if body else {}
        model = fields.get("model")
        return SimulatedRequest(
            model=model_of(model if isinstance(model, str) else "sim", params),
            words=max(1, words_of(fields.get("input", fields.get("query", fields.get("prompt"))))),
            extra={**fields, **params},
        )


class Moderations(_Document):
    """`POST /v1/moderations`: an input with the letters `flag` is flagged as harassment."""

    path: ClassVar[str] = "/v1/moderations"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        value = output.request.extra.get("input", "")
        results = [_moderation("flag" in str(one)) for one in (value if isinstance(value, list) else [value])]
        return encode({"id": f"modr-sim-{output.number}", "model": output.request.model, "results": results})


class Rerank(_Document):
    """`POST /v1/rerank`: documents ordered by the number of words they share with the query."""

    path: ClassVar[str] = "/v1/rerank"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        fields = output.request.extra
        query_words = set(str(fields.get("query", "")).split())
        scores = [_relevance(query_words, document) for document in fields.get("documents", [])]
        order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[: fields.get("top_n")]
        results = [{"index": index, "relevance_score": scores[index]} for index in order]
        usage = {"total_tokens": output.prompt_tokens}
        return encode(
            {"id": f"rerank-sim-{output.number}", "model": output.request.model, "results": results, "usage": usage}
        )


class Images(_Document):
    """`POST /v1/images/generations`: `n` identical images."""

    path: ClassVar[str] = "/v1/images/generations"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        images = [{"b64_json": _PIXEL}] * (output.request.extra.get("n") or 1)
        tokens = {"input_tokens": output.prompt_tokens, "output_tokens": output.token_count}
        details = {"text_tokens": output.prompt_tokens, "image_tokens": 0}
        usage = {**tokens, "total_tokens": sum(tokens.values()), "input_tokens_details": details}
        return encode({"created": output.created, "data": images, "usage": usage})


class Speech(_Document):
    """`POST /v1/audio/speech`: `tokens` chunks of `bytes` bytes."""

    path: ClassVar[str] = "/v1/audio/speech"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return ByteStream(SOUND, output.token_count, output.behaviour.bytes or CHUNK_BYTES)


class Batches(_Document):
    """`POST /v1/batches`, and with an id in the path the state of that batch."""

    path: ClassVar[str] = "/v1/batches"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        fields = output.request.extra
        return encode(
            {
                "id": fields.get("id", f"batch_sim_{output.number}"),
                "object": "batch",
                "endpoint": fields.get("endpoint", "/v1/chat/completions"),
                "input_file_id": fields.get("input_file_id", "file-sim-1-0"),
                "completion_window": fields.get("completion_window", "24h"),
                "status": fields.get("status", "validating"),
                "created_at": output.created,
                "metadata": fields.get("metadata"),
            }
        )


class ByteStream:
    """A stream of bytes without events: `count` chunks of `size`."""

    def __init__(self, content_type: str, count: int, size: int) -> None:
        self.content_type = content_type
        self._count = count
        self._chunk = filler_bytes(size)

    def opening(self) -> Iterator[bytes]:
        yield from ()

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        return islice(repeat((b"", self._chunk)), self._count)

    def ending(self) -> Iterator[bytes]:
        yield from ()

    def end_marker(self) -> bytes:
        return b""

    def error_event(self) -> bytes:
        return b""


def filler_bytes(size: int) -> bytes:
    """Return pseudorandom bytes, so that missing or swapped parts show; the same in every call."""
    block = hashlib.shake_256(b"simulator").digest(min(size, 65536))
    return (block * (size // len(block) + 1))[:size] if size else b""


def _moderation(is_flagged: bool) -> dict[str, Any]:
    flags = {name: is_flagged and name == "harassment" for name in _CATEGORIES}
    return {
        "flagged": is_flagged,
        "categories": flags,
        "category_scores": {name: 0.99 if flag else 0.01 for name, flag in flags.items()},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


def _relevance(query_words: set[str], document: Any) -> float:
    text = document.get("text", "") if isinstance(document, dict) else str(document)
    return round(len(query_words & set(text.split())) / max(1, len(query_words)), 6)
