"""Clients' requests of OpenAI's chat completions as neutral values; docs/dialects.md has the table of what maps to what."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects.fields import Fields, non_null, unknown_members
from gateway.dialects.parts_in import document_in, image_at, missing, only_text
from gateway.dialects.unsupported_params import untranslatable

PARAMS: Final[Mapping[str, str]] = MappingProxyType(
    {"output": "response_format", "reasoning": "reasoning_effort", "thinking": "thinking_blocks"}
)

HINTS: Final = frozenset(("prompt_cache_retention", "prompt_cache_options"))
"""Members that affect the cost of an answer, never its content: dropped silently."""

_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"logprobs": False, "modalities": ["text"], "top_logprobs": 0, "functions": []}
)


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: _ImageUrl | str | None = None
    file: _File | None = None
    prompt_cache_breakpoint: Raw = Raw(b"null")


class _Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    id: str
    function: _Function | None = None
    type: str = "function"
    index: int | None = None


class _ThinkingBlock(msgspec.Struct):
    type: str
    thinking: str = ""
    signature: str = ""
    data: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[Raw] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[_ThinkingBlock] | None = None


class _FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Raw = Raw(b"null")
    strict: bool | None = None


class _Tool(msgspec.Struct):
    type: str
    function: _FunctionTool | None = None


class _Named(msgspec.Struct):
    name: str


class _ToolChoice(msgspec.Struct):
    type: str
    function: _Named | None = None


class _Schema(msgspec.Struct):
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw(b"null")
    strict: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


_KNOWN: Final = HINTS | {
    "frequency_penalty",
    "logit_bias",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user",
    "verbosity",
}

_decode_part = msgspec.json.Decoder(_Part).decode


def to_conversation(request: ChatRequest) -> Conversation:
    """Return a request as neutral values. Raises `InvalidRequest` for content that has no neutral value."""
    fields = Fields(request.fields)
    unsupported = list(fields.unknown(_KNOWN, _DEFAULTS))
    system: list[Text] = []
    turns: list[Turn] = []
    messages = fields.get("messages", list[_Message]) or []
    for index, (message, raw) in enumerate(zip(messages, fields.get("messages", list[Raw]) or (), strict=True)):
        path = f"messages[{index}]"
        unsupported += unknown_members(raw, _Message.__struct_fields__, path)
        if message.role in ("system", "developer"):
            system += only_text(_content(message, path), path)
        else:
            turns.append(_turn(message, path))
    effort = fields.get("reasoning_effort", str)
    return Conversation(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple(_tools(fields)),
        tool_choice=_tool_choice(fields),
        parallel_tool_calls=fields.get("parallel_tool_calls", bool),
        output=_output(fields),
        stop=_stop(fields),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=fields.get("top_p", float),
        top_k=fields.get("top_k", int),
        seed=fields.get("seed", int),
        presence_penalty=fields.get("presence_penalty", float),
        frequency_penalty=fields.get("frequency_penalty", float),
        logit_bias=fields.raw("logit_bias"),
        reasoning=None if effort is None else Reasoning(effort=effort),
        verbosity=fields.get("verbosity", str),
        n=request.n,
        user=fields.get("user", str) or fields.get("safety_identifier", str),
        metadata=fields.get("metadata", dict[str, str]),
        service_tier=fields.get("service_tier", str),
        prompt_cache_key=fields.get("prompt_cache_key", str),
        store=fields.get("store", bool),
        stream=request.stream,
        unsupported=tuple(unsupported),
    )


def _turn(message: _Message, path: str) -> Turn:
    match message.role:
        case "user":
            return Turn("user", tuple(_content(message, path)), message.name)
        case "assistant":
            return Turn("assistant", tuple(_assistant_parts(message, path)), message.name)
        case "tool":
            if message.tool_call_id is None:
                raise missing(f"{path}.tool_call_id")
            parts = tuple(part for part in _content(message, path) if isinstance(part, Text | Image | Document))
            return Turn("user", (ToolResult(message.tool_call_id, parts),))
    raise untranslatable(f"{path}.role", f"there is no role {message.role[:40]!r}")


def _assistant_parts(message: _Message, path: str) -> Iterator[Part]:
    """Yield the parts of a model's message in the order that other dialects need: thinking, text, tool calls."""
    blocks = message.thinking_blocks or ()
    for block in blocks:
        yield Thinking(block.thinking, block.signature, block.data)
    thinking = message.reasoning_content or message.reasoning
    if thinking and not blocks:
        yield Thinking(thinking)
    yield from _content(message, path)
    if message.refusal:
        yield Refusal(message.refusal)
    for index, call in enumerate(message.tool_calls or ()):
        if call.function is None:
            raise untranslatable(f"{path}.tool_calls[{index}]", "only calls of functions can be")
        yield ToolCall(call.id, call.function.name, call.function.arguments or "")


def _content(message: _Message, path: str) -> Iterator[Part]:
    if message.content is None:
        return
    if isinstance(message.content, str):
        yield Text(message.content)
        return
    for index, raw in enumerate(message.content):
        yield _part(raw, f"{path}.content[{index}]")


def _part(raw: Raw, path: str) -> Part:
    try:
        part = _decode_part(raw)
    except msgspec.ValidationError:
        raise InvalidRequest(f"{path} is not a part of a message", param=path, code="invalid_type") from None
    match part.type:
        case "text":
            return Text(part.text)
        case "refusal":
            return Refusal(part.refusal)
        case "image_url" if part.image_url is not None:
            image = part.image_url if isinstance(part.image_url, _ImageUrl) else _ImageUrl(part.image_url)
            return image_at(image.url, image.detail, path)
        case "file" if part.file is not None and part.file.file_data:
            document = document_in(part.file.file_data, part.file.filename)
            if document is not None:
                return document
    raise untranslatable(path, f"a part of type {part.type[:40]!r} has no counterpart in the provider's API")


def _tools(fields: Fields) -> Iterator[Tool]:
    for index, tool in enumerate(fields.get("tools", list[_Tool]) or ()):
        if tool.type != "function" or tool.function is None:
            raise untranslatable(f"tools[{index}]", f"a tool of type {tool.type[:40]!r} runs only at its own provider")
        one = tool.function
        yield Tool(one.name, one.description, non_null(one.parameters), one.strict)


def _tool_choice(fields: Fields) -> ToolChoice | None:
    match choice := fields.get("tool_choice", str | _ToolChoice):  # type: ignore[arg-type]
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case _ToolChoice(type="function") if choice.function is not None:
            return ToolChoice("named", choice.function.name)
    raise untranslatable("tool_choice", "only auto, none, required and a function can be")


def _output(fields: Fields) -> OutputFormat | None:
    match fields.get("response_format", _ResponseFormat):
        case None | _ResponseFormat(type="text"):
            return None
        case _ResponseFormat(type="json_object"):
            return OutputFormat()
        case _ResponseFormat(type="json_schema", json_schema=_Schema() as format):
            return OutputFormat(non_null(format.schema), format.name, format.description, format.strict)
    raise untranslatable("response_format", "only text, json_object and json_schema can be")


def _stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.get("stop", str | list[str])  # type: ignore[arg-type]
    return (stop,) if isinstance(stop, str) else tuple(stop or ())
