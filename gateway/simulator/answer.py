"""What is said, before a dialect puts it into bytes: thoughts, text, a refusal, calls of tools, token by token."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, cycle, islice, repeat
from typing import Final, Literal

import msgspec

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.ask import Ask
from gateway.simulator.example import example

Kind = Literal["thinking", "text", "refusal", "call"]
Finish = Literal["stop", "stop_sequence", "length", "calls", "refusal"]

# Every third word or so holds characters of two, three and four bytes: a cut anywhere meets one soon.
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


class Words:
    """So many tokens of a behaviour's text, made as they are taken: an answer may have a million."""

    __slots__ = ("_behaviour", "_count", "_seed")

    def __init__(self, behaviour: Behaviour, count: int, seed: int) -> None:
        self._behaviour = behaviour
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return islice(self._endless(), self._count)

    def first(self, count: int) -> "Words":
        """Give the same, shorter."""
        return Words(self._behaviour, count, self._seed)

    def _endless(self) -> Iterator[str]:
        size = self._behaviour.bytes
        if size:
            every: Iterator[str] = repeat(("lorem " * (size // 6 + 1))[:size])
        else:
            start = self._seed * 5 % len(_WORDS)
            every = cycle(_WORDS[start:] + _WORDS[:start])
        if self._behaviour.tricky:
            next(every)
            return chain((_TRICKY,), every)
        return every


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer. Calls have an `id`, the tool's `name`, and arguments for tokens."""

    kind: Kind
    tokens: Words | tuple[str, ...]
    id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who asked for what, the behaviour, what makes it one of its kind (`number`, `created`), and what it says."""

    ask: Ask
    behaviour: Behaviour
    number: int
    created: int
    parts: tuple[Part, ...]
    finish: Finish
    stop_sequence: str | None = None

    @property
    def count(self) -> int:
        """How many tokens, and so content events, the answer has."""
        return self.ask.choices * sum(len(part.tokens) for part in self.parts)

    @property
    def thinking_tokens(self) -> int:
        return sum(len(part.tokens) for part in self.parts if part.kind == "thinking")

    @property
    def prompt_tokens(self) -> int:
        """All of the prompt's tokens, whatever the cache had of them."""
        forced = self.behaviour.prompt_tokens
        return self.ask.words if forced is None else forced

    def text_of(self, kind: Kind) -> str:
        """Give the text of all parts of a kind together."""
        return "".join(part.text for part in self.parts if part.kind == kind)

    @property
    def calls(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind == "call")


def compose(ask: Ask, behaviour: Behaviour, number: int, created: int) -> Answer:
    """Give the answer to the `number`th request (from 1)."""
    limit = ask.max_tokens
    wanted = tuple(_parts(ask, behaviour, number))
    stop_sequence = None
    if ask.stop:
        wanted, stop_sequence = _stopped(wanted, ask.stop)
    parts = wanted if limit is None else tuple(_limited(wanted, limit))
    total = sum(len(part.tokens) for part in wanted)
    finish: Finish
    if limit is not None and limit < max(total, _tokens_of_calls(ask, behaviour)):
        finish, stop_sequence = "length", None
    elif stop_sequence is not None:
        finish = "stop_sequence"
    elif any(part.kind == "call" for part in parts):
        finish = "calls"
    else:
        finish = "refusal" if behaviour.refuse else "stop"
    return Answer(ask, behaviour, number, created, parts, finish, stop_sequence)


def signature_of(thinking: str) -> str:
    """Give what proves that a thought is the simulator's own."""
    return b64encode(sha256(b"simulator" + thinking.encode()).digest()).decode()


def _parts(ask: Ask, behaviour: Behaviour, number: int) -> Iterator[Part]:
    if behaviour.think:
        yield Part("thinking", Words(behaviour, behaviour.think, behaviour.seed + _THINKING_SEED))
    step = ask.tool_results + 1
    is_step = behaviour.script is not None and step <= behaviour.script
    is_call = is_step or (behaviour.tools is not None and behaviour.script is None)
    if behaviour.refuse:
        yield Part("refusal", Words(behaviour, behaviour.tokens, behaviour.seed))
        return
    if behaviour.echo:
        yield Part("text", tuple(_TOKEN.findall("\n".join(ask.heard))))
    elif ask.schema is not None and not is_call:
        yield Part("text", _pieces(encode(example(ask.schema)).decode()))
    elif not is_call:
        yield Part("text", Words(behaviour, behaviour.tokens, behaviour.seed))
    if is_step:
        yield Part("call", ('{"k": ', f"{step}}}"), f"call_step_{step}", "step")
    elif is_call and behaviour.tools is not None:
        yield from _calls(ask, behaviour, behaviour.tools, number)


def _tokens_of_calls(ask: Ask, behaviour: Behaviour) -> int:
    """Give how many tokens the calls of `tools` want: they are fitted into a limit, whole, and not cut by it."""
    return behaviour.tokens if behaviour.tools and behaviour.script is None and not behaviour.refuse else 0


def _calls(ask: Ask, behaviour: Behaviour, calls: int, number: int) -> Iterator[Part]:
    """Deal the tokens out evenly in order; a call's tokens together are the JSON object `{"words": "…"}`."""
    count = behaviour.tokens if ask.max_tokens is None else min(behaviour.tokens, ask.max_tokens)
    calls = min(calls, count)
    names = ask.tool_names or ("lookup",)
    words = iter(Words(behaviour, count, behaviour.seed))
    for call in range(calls):
        size = -(-(call + 1) * count // calls) + (-call * count // calls)  # shares that differ by one at most
        pieces = [encode(word).decode()[1:-1] for word in islice(words, size)]
        pieces[0] = '{"words": "' + pieces[0]
        pieces[-1] += '"}'
        yield Part("call", tuple(pieces), f"call_{number}_{call}", names[call % len(names)])


def _limited(parts: Iterable[Part], limit: int) -> Iterator[Part]:
    for part in parts:
        tokens = part.tokens
        if len(tokens) > limit:
            part = replace(part, tokens=tokens.first(limit) if isinstance(tokens, Words) else tokens[:limit])
        limit -= len(part.tokens)
        if part.tokens or part.kind == "text":
            yield part


def _stopped(parts: Iterable[Part], stops: tuple[str, ...]) -> tuple[tuple[Part, ...], str | None]:
    """End the text before the first of `stops` in it, and what would come after."""
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
