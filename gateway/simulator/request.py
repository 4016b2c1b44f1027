"""The facts that the simulator reads from a request of any dialect."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class BadRequest(Exception):
    """The request is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """The facts of a request that shape the output.

    `new_input` is the input after the model's last turn, in order: texts, tool results, and images as `[image …]`.
    `schema` is the JSON Schema that the output must fit; {} stands for any object. Only the handler that made `extra` reads it.
    """

    model: str
    stream: bool = False
    wants_usage: bool = False
    max_tokens: int | None = None
    words: int = 1  # in the whole prompt; the number of its tokens unless the behaviour sets one
    tool_names: tuple[str, ...] = ()
    tool_results: int = 0  # in the whole conversation
    new_input: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    choices: int = 1  # outputs in one response
    inputs: int = 1  # inputs in this one call
    has_forged_thinking: bool = False  # returned thinking whose signature is not the simulator's
    extra: Mapping[str, Any] = field(default_factory=dict)


def decode_body(body: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """Decode a body. Raises BadRequest."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not a valid {what}: {error}") from error


def words_of(content: Any) -> int:
    """Return the number of words in a text, or in the texts of a list of parts, tool results included."""
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
    """Return the texts of a message's content, part by part; the texts of one tool result are joined."""
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
    """Return the stop sequences as a tuple."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _image(url: str) -> str:
    """Return a short text that identifies an image: its URL, or its type and length."""
    kind, comma, data = url.removeprefix("data:").partition(";base64,")
    return f"[image {kind} {len(data)}]" if comma else f"[image {url}]"
