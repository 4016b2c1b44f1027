"""What the simulator reads of a request, whatever dialect it came in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class BadRequest(Exception):
    """The request can't be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """The facts of a request that shape the answer.

    `new_input` is what came after the model's last turn, in order: texts, results of tools, and pictures as `[image …]`.
    `schema` is the JSON Schema that the answer must fit; {}: any object. `extra` belongs to one face alone.
    """

    model: str
    stream: bool = False
    wants_usage: bool = False
    max_tokens: int | None = None
    words: int = 1  # of the whole prompt: its tokens where none are forced
    tool_names: tuple[str, ...] = ()
    tool_results: int = 0  # in the whole conversation
    new_input: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    choices: int = 1  # answers to give at once
    inputs: int = 1  # things to work on in this one call
    has_forged_thinking: bool = False  # thinking that comes back with a signature that is not ours
    extra: Mapping[str, Any] = field(default_factory=dict)


def decode_body(body: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """Read a body; raises BadAsk."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is no {what}: {error}") from error


def words_of(content: Any) -> int:
    """Count the words of a text, or of the texts in a list of parts, results of tools included."""
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, list):
        return sum(
            words_of(part.get("text", part.get("content", part.get("output"))))
            for part in content
            if isinstance(part, dict)
        )
    return 0


def texts_of(content: Any) -> tuple[str, ...]:
    """Give what a content says to the model, part by part; a list of texts in one result stays one text."""
    if isinstance(content, str):
        return (content,)
    return tuple(_texts(content)) if isinstance(content, list) else ()


def _texts(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        match part:
            case {"type": "text" | "input_text", "text": str(text)}:
                yield text
            case {"type": "tool_result"}:
                yield "".join(texts_of(part.get("content")))
            case {"type": "image_url", "image_url": {"url": str(url)}} | {"type": "input_image", "image_url": str(url)}:
                yield _image(url)
            case {"type": "image", "source": {"type": "url", "url": str(url)}}:
                yield _image(url)
            case {"type": "image", "source": {"media_type": str(kind), "data": str(data)}}:
                yield _image(f"data:{kind};base64,{data}")


def stops_of(stop: str | list[str] | None) -> tuple[str, ...]:
    """Give the texts that end an answer."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _image(url: str) -> str:
    """Tell pictures apart as briefly as can be: by address, or by type and length."""
    kind, comma, data = url.removeprefix("data:").partition(";base64,")
    return f"[image {kind} {len(data)}]" if comma else f"[image {url}]"
