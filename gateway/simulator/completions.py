"""Legacy completions: one text for each prompt.

Shapes: https://platform.openai.com/docs/api-reference/completions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.answer import Answer, encode
from gateway.simulator.ask import Ask, BadAsk, decode, stops_of
from gateway.simulator.chat import DONE, FINGERPRINT, ChatShape, StreamOptions, error_body, model_of, usage_of
from gateway.simulator.face import Stream, Trouble
from gateway.simulator.heads import EVENT_STREAM


class _Body(msgspec.Struct):
    model: str = ""
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    echo: bool | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class Completions(ChatShape):
    """`POST /v1/completions`: `prompt` is a text, tokens, or a list of either."""

    path: ClassVar[str] = "/v1/completions"

    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        read = decode(body, _BODY, "completion request")
        prompts = read_prompts(read.prompt if read.prompt is not None else "")
        texts = tuple(text for text, _ in prompts)
        return Ask(
            model=model_of(read.model, given),
            stream=bool(read.stream),
            wants_usage=bool(read.stream_options and read.stream_options.include_usage),
            max_tokens=read.max_tokens,
            words=max(1, sum(tokens for _, tokens in prompts)),
            heard=texts,
            stop=stops_of(read.stop),
            choices=len(prompts),
            kept={"starts": texts if read.echo else ("",) * len(texts)},
        )

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        return _Chunks(answer) if answer.ask.stream else _whole(answer)


def read_prompts(given: str | list[Any]) -> list[tuple[str, int]]:
    """Give the text of each prompt, and how many tokens it has; tokens stand as their numbers. Raises BadAsk."""
    listed = [given] if isinstance(given, str) or (given and all(isinstance(one, int) for one in given)) else given
    prompts = []
    for one in listed:
        if isinstance(one, str):
            prompts.append((one, len(one.split())))
        elif isinstance(one, list) and one and all(isinstance(token, int) for token in one):
            prompts.append((" ".join(map(str, one)), len(one)))
        else:
            raise BadAsk("an input is a text, or a list of tokens")
    if not prompts:
        raise BadAsk("there is no input")
    return prompts


def _whole(answer: Answer) -> bytes:
    text = answer.text_of("text")
    choices = [
        {"text": start + text, "index": index, "logprobs": None, "finish_reason": _finish(answer)}
        for index, start in enumerate(answer.ask.kept["starts"])
    ]
    body = {**_frame(answer), "choices": choices}
    if not answer.behaviour.no_usage:
        body["usage"] = usage_of(answer)
    return encode(body)


class _Chunks:
    """The events of a stream, one prompt's after the other's."""

    content_type = EVENT_STREAM

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._frame = encode(_frame(answer))[:-1]

    def opening(self) -> Iterator[bytes]:
        yield from ()

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        before = b"data: " + self._frame + b',"choices":[{"text":'
        for index, start in enumerate(self._answer.ask.kept["starts"]):
            after = b',"index":%d,"logprobs":null,"finish_reason":null}]}\n\n' % index
            for token in self._tokens():
                yield b"", before + encode(start + token) + after
                start = ""

    def ending(self) -> Iterator[bytes]:
        for index in range(self._answer.ask.choices):
            choice = {"text": "", "index": index, "logprobs": None, "finish_reason": _finish(self._answer)}
            yield b"data: " + self._frame + b',"choices":[' + encode(choice) + b"]}\n\n"
        if self._answer.ask.wants_usage and not self._answer.behaviour.no_usage:
            yield b"data: " + self._frame + b',"choices":[],"usage":' + encode(usage_of(self._answer)) + b"}\n\n"

    def mark(self) -> bytes:
        return DONE

    def failure(self) -> bytes:
        return b"data: " + error_body(Trouble(500, "simulated", "simulated failure in the stream")) + b"\n\n"

    def _tokens(self) -> Iterator[str]:
        for part in self._answer.parts:
            if part.kind == "text":
                yield from part.tokens


def _finish(answer: Answer) -> str:
    return "length" if answer.finish == "length" else "stop"


def _frame(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"cmpl-sim-{answer.number}",
        "object": "text_completion",
        "created": answer.created,
        "model": answer.ask.model,
        "system_fingerprint": FINGERPRINT,
    }
