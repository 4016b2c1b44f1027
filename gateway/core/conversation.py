"""Neutral values of a conversation and its answer, for translating between a client's dialect and a provider's.

None of them is built if both speak the same dialect: bytes pass then. JSON that is only carried along (schemas, arguments of
tool calls) stays text. `None` always means that the client did not send the value.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Raw

from gateway.core.usage import Usage

Role = Literal["user", "assistant"]

StopReason = Literal[
    "end",  # the model finished
    "max_tokens",  # the limit of the request
    "context_window",  # the model's own limit
    "stop_sequence",
    "tool_use",
    "refusal",  # the model declined
    "content_filter",  # a filter cut the answer
    "pause",  # a long turn, which the client continues by sending it back
]

# Parts of a turn


class Text(msgspec.Struct, frozen=True):
    """A text."""

    text: str


class Image(msgspec.Struct, frozen=True):
    """An image: at `url`, or as base64 `data` of `media_type`. `detail` is OpenAI's: low, high, auto, original."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str | None = None


class Document(msgspec.Struct, frozen=True):
    """A file: at `url`, as base64 `data` of `media_type`, or as plain `text`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    text: str = ""
    title: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of the model. `arguments` is the text that the model wrote, meant to be a JSON object; "" for none."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True):
    """The result of the tool call `id`, in a user turn."""

    id: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False


class Thinking(msgspec.Struct, frozen=True):
    """Thinking of the model. `signature` authenticates it to its provider; `data` holds it encrypted instead of `text`.

    With a signature or data it is sent only to dialects that have such members, without them only to dialects that have none.
    """

    text: str = ""
    signature: str = ""
    data: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The model's text of a refusal."""

    text: str


Part = Text | Image | Document | ToolCall | ToolResult | Thinking | Refusal


class Turn(msgspec.Struct, frozen=True):
    """Consecutive parts of one role. `name` distinguishes participants of one role.

    Tool results come first in a user turn; adjacent turns of one role stay separate until a dialect joins them.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


# Parameters of a request


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call. `schema` is the JSON Schema of its arguments, as text; None: it has no arguments."""

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether the model must call a tool; `named`: the one called `name`."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


class OutputFormat(msgspec.Struct, frozen=True):
    """The answer must be JSON: of `schema`, or any object if that is None."""

    schema: Raw | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much the model should think: an `effort` (none, minimal, low, medium, high, xhigh, max), or a budget.

    `is_adaptive`: the model decides. `summary`: whether and how its thinking is shown (auto, concise, detailed).
    """

    effort: str | None = None
    budget_tokens: int | None = None
    is_adaptive: bool = False
    summary: str | None = None


class Conversation(msgspec.Struct, frozen=True):
    """A request, as far as it can be translated to another dialect.

    `unsupported` lists members without a neutral value, by the client's names; other dialects have no counterpart either.
    """

    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None  # low, medium, high
    n: int | None = None
    user: str | None = None  # an opaque id of the end user
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None  # by the client's name
    prompt_cache_key: str | None = None
    store: bool | None = None  # whether the provider stores the answer
    stream: bool = False
    unsupported: tuple[str, ...] = ()


# Answers


class Completion(msgspec.Struct, frozen=True):
    """A whole answer: texts, thinking, refusals and tool calls in their order. `created`: Unix seconds, 0 if unknown."""

    id: str
    model: str
    parts: tuple[Text | Thinking | Refusal | ToolCall, ...]
    stop: StopReason
    stop_sequence: str | None = None
    usage: Usage | None = None
    created: int = 0
    service_tier: str | None = None


# Streamed answers. `index` counts the parts of the answer from 0, of all types; events of one part share it.


class Start(msgspec.Struct, frozen=True):
    """The first event, once per stream. `usage`: what is known of the prompt so far."""

    id: str
    model: str
    created: int = 0
    usage: Usage | None = None
    service_tier: str | None = None


class TextDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class Signature(msgspec.Struct, frozen=True):
    """Ends a signed part of thinking; with `data` it is the whole of an encrypted part."""

    index: int
    signature: str = ""
    data: str = ""


class RefusalDelta(msgspec.Struct, frozen=True):
    index: int
    text: str


class ToolCallStart(msgspec.Struct, frozen=True):
    index: int
    id: str
    name: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A piece of a call's arguments. Parallel calls may interleave if the provider's dialect allows it."""

    index: int
    arguments: str


class UsageReport(msgspec.Struct, frozen=True):
    """The usage so far; a later report replaces an earlier one. It may follow `Finish`."""

    usage: Usage


class Finish(msgspec.Struct, frozen=True):
    """The answer is complete; only usage follows. A stream without it broke off."""

    stop: StopReason
    stop_sequence: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The provider reports an error in its stream; nothing follows. `type` is the provider's own."""

    message: str
    type: str = ""
    code: str | None = None


StreamEvent = (
    Start
    | TextDelta
    | ThinkingDelta
    | Signature
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | UsageReport
    | Finish
    | Failure
)
