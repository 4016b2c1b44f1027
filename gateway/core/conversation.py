"""A conversation and its answer in words that no dialect owns: where a client's dialect and a provider's meet.

Nothing here is made where both speak the same dialect: bytes pass then. JSON that is only carried (schemas, arguments of
tool calls) stays as its text. `None` always means: the client did not say.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Raw

from gateway.core.usage import Usage

Role = Literal["user", "assistant"]

StopReason = Literal[
    "end",  # the model had said it all
    "max_tokens",  # of the request
    "context_window",  # the model's own limit
    "stop_sequence",
    "tool_use",
    "refusal",  # the model declined
    "content_filter",  # somebody else cut it
    "pause",  # a long turn that the client may let go on by sending it back
]

# Parts of a turn


class Text(msgspec.Struct, frozen=True):
    """What is written."""

    text: str


class Image(msgspec.Struct, frozen=True):
    """A picture: at `url`, or as base64 `data` of `media_type`. `detail` is OpenAI's: low, high, auto, original."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str | None = None


class Document(msgspec.Struct, frozen=True):
    """A file to read: at `url`, as base64 `data` of `media_type`, or as plain `text`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    text: str = ""
    title: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """The model asks for a tool. `arguments` is the text that it wrote, meant to be a JSON object; "" for none."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool gave back for the call `id`; it stands in a user turn."""

    id: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False


class Thinking(msgspec.Struct, frozen=True):
    """What the model thought. `signature` proves it to its maker; `data` holds it where nobody else may read it.

    It goes back only to who can use it: with a signature or data to a dialect that has them, without to one that has none.
    """

    text: str = ""
    signature: str = ""
    data: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The model's words for why it does not answer."""

    text: str


Part = Text | Image | Document | ToolCall | ToolResult | Thinking | Refusal


class Turn(msgspec.Struct, frozen=True):
    """Everything that one side said before the other spoke. `name` tells apart speakers of one role.

    Tool results stand before all else in a user turn; adjacent turns of one role are kept apart until a dialect joins them.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


# What is asked for


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call. `schema` is the JSON Schema of its arguments, as text; None: it takes none."""

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether a tool must be called: `named` is the one called `name`."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


class OutputFormat(msgspec.Struct, frozen=True):
    """JSON is asked for: of `schema`, or any object where that is None."""

    schema: Raw | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much the model shall think: an `effort` (none, minimal, low, medium, high, xhigh, max), or a budget.

    `is_adaptive`: as much as it finds right. `summary`: whether and how its thoughts are shown (auto, concise, detailed).
    """

    effort: str | None = None
    budget_tokens: int | None = None
    is_adaptive: bool = False
    summary: str | None = None


class Conversation(msgspec.Struct, frozen=True):
    """A request, as far as it can be said in another dialect.

    Fields of `others`, by the client's names, have no word here; neither have they a place in another dialect.
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
    user: str | None = None  # the end user, as an opaque name
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None  # in the client's words
    prompt_cache_key: str | None = None
    store: bool | None = None  # whether the provider keeps the answer for later
    stream: bool = False
    others: tuple[str, ...] = ()


# Answers


class Completion(msgspec.Struct, frozen=True):
    """A whole answer: texts, thoughts, refusals and tool calls in their order. `created`: unix seconds, 0 for unknown."""

    id: str
    model: str
    parts: tuple[Text | Thinking | Refusal | ToolCall, ...]
    stop: StopReason
    stop_sequence: str | None = None
    usage: Usage | None = None
    created: int = 0
    service_tier: str | None = None


# Streamed answers. `index` counts the parts of the answer from 0, whatever they are; a part's events share it.


class Start(msgspec.Struct, frozen=True):
    """Comes first, once. `usage`: what is known of the prompt by now."""

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
    """Ends a part of thinking that is signed; or, with `data`, is the whole of one that is not to be read."""

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
    """More of a call's arguments. Calls that run side by side may take turns, where the provider's dialect lets them."""

    index: int
    arguments: str


class UsageReport(msgspec.Struct, frozen=True):
    """What has been used so far; a later report replaces an earlier one. It may come behind `Finish`."""

    usage: Usage


class Finish(msgspec.Struct, frozen=True):
    """The answer is complete and nothing but usage follows. A stream without it broke off."""

    stop: StopReason
    stop_sequence: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The provider reports an error in its stream; nothing follows. `type` is in the provider's words."""

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
