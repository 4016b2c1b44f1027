"""The model's output before a handler encodes it: thinking, text, a refusal and tool calls, token by token."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, cycle, islice, repeat
from typing import Final, Literal

import msgspec

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.request import SimulatedRequest
from gateway.simulator.schema_example import example_for

Kind = Literal["thinking", "text", "refusal", "call"]
Finish = Literal["stop", "stop_sequence", "length", "calls", "refusal"]

# About every second word has characters of two, three or four bytes, so that a cut anywhere soon meets one.
_WORDS: Final = (
    "lorem ",
    "café ",
    "dolor ",
    "naïve ",
    "amet ",
    "日本語 ",
    "elit ",
    "Zürich ",
    "tempor ",
    "🙂🙃 ",
    "magna ",
    "Ωmega ",
    "quis ",
)
_TRICKY: Final = 'data: [DONE]\n\n"usage":{"completion_tokens":9999} \u2028\u2029\u0085 \\" '
_TOKEN: Final = re.compile(r"\S+\s*|\s+")
_JSON_TOKEN_CHARACTERS: Final = 6
_THINKING_SEED: Final = 3

encode = msgspec.json.encode


class GeneratedTokens:
    """`count` tokens of a behaviour's text, generated lazily: an output may have a million."""

    __slots__ = ("_behaviour", "_count", "_seed")

    def __init__(self, behaviour: Behaviour, count: int, seed: int) -> None:
        self._behaviour = behaviour
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return islice(self._endless(), self._count)

    def first(self, count: int) -> "GeneratedTokens":
        """Return the first `count` tokens."""
        return GeneratedTokens(self._behaviour, count, self._seed)

    def _endless(self) -> Iterator[str]:
        size = self._behaviour.bytes
        if size:
            tokens: Iterator[str] = repeat(("lorem " * (size // 6 + 1))[:size])
        else:
            start = self._seed * 5 % len(_WORDS)
            tokens = cycle(_WORDS[start:] + _WORDS[:start])
        if self._behaviour.tricky:
            next(tokens)
            return chain((_TRICKY,), tokens)
        return tokens


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an output. A call has an `id` and the tool's `name`; its tokens are its arguments."""

    kind: Kind
    tokens: GeneratedTokens | tuple[str, ...]
    id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """One output: the request, the behaviour, the parts, and what makes it unique (`number`, `created`)."""

    request: SimulatedRequest
    behaviour: Behaviour
    number: int
    created: int
    parts: tuple[Part, ...]
    finish: Finish
    stop_sequence: str | None = None

    @property
    def token_count(self) -> int:
        """The number of output tokens, which is also the number of content events."""
        return self.request.choices * sum(len(part.tokens) for part in self.parts)

    @property
    def thinking_tokens(self) -> int:
        return sum(len(part.tokens) for part in self.parts if part.kind == "thinking")

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached ones included."""
        forced = self.behaviour.prompt_tokens
        return self.request.words if forced is None else forced

    def text_of(self, kind: Kind) -> str:
        """Return the text of all parts of a kind, joined."""
        return "".join(part.text for part in self.parts if part.kind == kind)

    @property
    def calls(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind == "call")


def generate(request: SimulatedRequest, behaviour: Behaviour, number: int, created: int) -> ModelOutput:
    """Generate the output for the `number`th request (from 1)."""
    limit = request.max_tokens
    full = tuple(_parts(request, behaviour, number))
    stop_sequence = None
    if request.stop:
        full, stop_sequence = _cut_at_stop(full, request.stop)
    parts = full if limit is None else tuple(_truncate(full, limit))
    total = sum(len(part.tokens) for part in full)
    finish: Finish
    if limit is not None and limit < max(total, _tokens_of_calls(request, behaviour)):
        finish, stop_sequence = "length", None
    elif stop_sequence is not None:
        finish = "stop_sequence"
    elif any(part.kind == "call" for part in parts):
        finish = "calls"
    else:
        finish = "refusal" if behaviour.refuse else "stop"
    return ModelOutput(request, behaviour, number, created, parts, finish, stop_sequence)


def signature_of(thinking: str) -> str:
    """Return the signature of a thinking text, by which the simulator recognizes its own thinking."""
    return b64encode(sha256(b"simulator" + thinking.encode()).digest()).decode()


def _parts(request: SimulatedRequest, behaviour: Behaviour, number: int) -> Iterator[Part]:
    if behaviour.think:
        yield Part("thinking", GeneratedTokens(behaviour, behaviour.think, behaviour.seed + _THINKING_SEED))
    step = request.tool_results + 1
    is_step = behaviour.script is not None and step <= behaviour.script
    is_call = is_step or (behaviour.tools is not None and behaviour.script is None)
    if behaviour.refuse:
        yield Part("refusal", GeneratedTokens(behaviour, behaviour.tokens, behaviour.seed))
        return
    if behaviour.echo:
        yield Part("text", tuple(_TOKEN.findall("\n".join(request.new_input))))
    elif request.schema is not None and not is_call:
        yield Part("text", _pieces(encode(example_for(request.schema)).decode()))
    elif not is_call:
        yield Part("text", GeneratedTokens(behaviour, behaviour.tokens, behaviour.seed))
    if is_step:
        yield Part("call", ('{"k": ', f"{step}}}"), f"call_step_{step}", "step")
    elif is_call and behaviour.tools is not None:
        yield from _calls(request, behaviour, behaviour.tools, number)


def _tokens_of_calls(request: SimulatedRequest, behaviour: Behaviour) -> int:
    """Return how many tokens the calls of `tools` need. A limit makes the calls shorter instead of cutting them off."""
    return behaviour.tokens if behaviour.tools and behaviour.script is None and not behaviour.refuse else 0


def _calls(request: SimulatedRequest, behaviour: Behaviour, calls: int, number: int) -> Iterator[Part]:
    """Divide the tokens evenly among the calls; the tokens of a call together are the JSON object `{"words": "…"}`."""
    count = behaviour.tokens if request.max_tokens is None else min(behaviour.tokens, request.max_tokens)
    calls = min(calls, count)
    names = request.tool_names or ("lookup",)
    words = iter(GeneratedTokens(behaviour, count, behaviour.seed))
    for call in range(calls):
        size = -(-(call + 1) * count // calls) + (-call * count // calls)  # sizes differ by at most one
        pieces = [encode(word).decode()[1:-1] for word in islice(words, size)]
        pieces[0] = '{"words": "' + pieces[0]
        pieces[-1] += '"}'
        yield Part("call", tuple(pieces), f"call_{number}_{call}", names[call % len(names)])


def _truncate(parts: Iterable[Part], limit: int) -> Iterator[Part]:
    for part in parts:
        tokens = part.tokens
        if len(tokens) > limit:
            part = replace(part, tokens=tokens.first(limit) if isinstance(tokens, GeneratedTokens) else tokens[:limit])
        limit -= len(part.tokens)
        if part.tokens or part.kind == "text":
            yield part


def _cut_at_stop(parts: Iterable[Part], stops: tuple[str, ...]) -> tuple[tuple[Part, ...], str | None]:
    """Cut the text before the first stop sequence and drop the parts after it; return the parts and that sequence."""
    kept: list[Part] = []
    for part in parts:
        text = part.text if part.kind == "text" else ""
        found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
        if found:
            at, stop = min(found)
            return (*kept, replace(part, tokens=tuple(_TOKEN.findall(text[:at])))), stop
        kept.append(part)
    return tuple(kept), None


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(text[start : start + _JSON_TOKEN_CHARACTERS] for start in range(0, len(text), _JSON_TOKEN_CHARACTERS))
