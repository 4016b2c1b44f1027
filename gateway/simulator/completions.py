"""Legacy completions: one text for each prompt.

Shapes: https://platform.openai.com/docs/api-reference/completions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.chat import DONE, FINGERPRINT, ChatConventions, StreamOptions, error_body, model_of, usage_of
from gateway.simulator.handler import ErrorResponse, StreamedBody
from gateway.simulator.headers import EVENT_STREAM
from gateway.simulator.model_output import ModelOutput, encode
from gateway.simulator.request import BadRequest, SimulatedRequest, decode_body, stops_of


class _Body(msgspec.Struct):
    model: str = ""
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    echo: bool | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class Completions(ChatConventions):
    """`POST /v1/completions`: `prompt` is a text, tokens, or a list of either."""

    path: ClassVar[str] = "/v1/completions"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        read = decode_body(body, _BODY, "completion request")
        prompts = read_prompts(read.prompt if read.prompt is not None else "")
        texts = tuple(text for text, _ in prompts)
        return SimulatedRequest(
            model=model_of(read.model, params),
            stream=bool(read.stream),
            wants_usage=bool(read.stream_options and read.stream_options.include_usage),
            max_tokens=read.max_tokens,
            words=max(1, sum(tokens for _, tokens in prompts)),
            new_input=texts,
            stop=stops_of(read.stop),
            choices=len(prompts),
            extra={"starts": texts if read.echo else ("",) * len(texts)},
        )

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return _Chunks(output) if output.request.stream else _whole(output)


def read_prompts(value: str | list[Any]) -> list[tuple[str, int]]:
    """Return each prompt as (text, number of tokens); the text of token ids is the ids. Raises BadRequest."""
    is_single = isinstance(value, str) or (value and all(isinstance(one, int) for one in value))
    prompts = []
    for one in [value] if is_single else value:
        if isinstance(one, str):
            prompts.append((one, len(one.split())))
        elif isinstance(one, list) and one and all(isinstance(token, int) for token in one):
            prompts.append((" ".join(map(str, one)), len(one)))
        else:
            raise BadRequest("an input must be a text or a list of tokens")
    if not prompts:
        raise BadRequest("there is no input")
    return prompts


def _whole(output: ModelOutput) -> bytes:
    text = output.text_of("text")
    choices = [
        {"text": start + text, "index": index, "logprobs": None, "finish_reason": _finish(output)}
        for index, start in enumerate(output.request.extra["starts"])
    ]
    body = {**_frame(output), "choices": choices}
    if not output.behaviour.no_usage:
        body["usage"] = usage_of(output)
    return encode(body)


class _Chunks:
    """The events of a stream, prompt after prompt."""

    content_type = EVENT_STREAM

    def __init__(self, output: ModelOutput) -> None:
        self._output = output
        self._frame = encode(_frame(output))[:-1]

    def opening(self) -> Iterator[bytes]:
        yield from ()

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        before = b"data: " + self._frame + b',"choices":[{"text":'
        for index, start in enumerate(self._output.request.extra["starts"]):
            after = b',"index":%d,"logprobs":null,"finish_reason":null}]}\n\n' % index
            for token in self._tokens():
                yield b"", before + encode(start + token) + after
                start = ""

    def ending(self) -> Iterator[bytes]:
        for index in range(self._output.request.choices):
            choice = {"text": "", "index": index, "logprobs": None, "finish_reason": _finish(self._output)}
            yield b"data: " + self._frame + b',"choices":[' + encode(choice) + b"]}\n\n"
        if self._output.request.wants_usage and not self._output.behaviour.no_usage:
            yield b"data: " + self._frame + b',"choices":[],"usage":' + encode(usage_of(self._output)) + b"}\n\n"

    def end_marker(self) -> bytes:
        return DONE

    def error_event(self) -> bytes:
        return b"data: " + error_body(ErrorResponse(500, "simulated", "simulated failure in the stream")) + b"\n\n"

    def _tokens(self) -> Iterator[str]:
        for part in self._output.parts:
            if part.kind == "text":
                yield from part.tokens


def _finish(output: ModelOutput) -> str:
    return "length" if output.finish == "length" else "stop"


def _frame(output: ModelOutput) -> dict[str, Any]:
    return {
        "id": f"cmpl-sim-{output.number}",
        "object": "text_completion",
        "created": output.created,
        "model": output.request.model,
        "system_fingerprint": FINGERPRINT,
    }
