"""Clients' requests of Anthropic's messages as neutral values; docs/dialects.md has the table of what maps to what."""

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
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects.anthropic_messages.answer import arguments_of
from gateway.dialects.fields import Fields, non_null, unknown_members
from gateway.dialects.parts_in import only_text
from gateway.dialects.unsupported_params import untranslatable

PARAMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output": "output_config.format",
        "stop": "stop_sequences",
        "reasoning": "thinking",
        "user": "metadata.user_id",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    }
)

_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({"speed": "standard"})
_CACHE: Final = "cache_control"  # affects the cost of an answer, never its content: dropped silently


class _Source(msgspec.Struct):
    type: str
    data: str = ""
    media_type: str = ""
    url: str = ""
    content: Raw = Raw(b"null")


class _Citations(msgspec.Struct):
    enabled: bool = False


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    source: _Source | None = None
    title: str | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")
    tool_use_id: str = ""
    content: str | list[Raw] | None = None
    is_error: bool = False
    cache_control: Raw = Raw(b"null")
    citations: Raw = Raw(b"null")


class _Message(msgspec.Struct):
    role: str
    content: str | list[Raw]


class _Tool(msgspec.Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"null")
    strict: bool | None = None
    cache_control: Raw = Raw(b"null")
    eager_input_streaming: Raw = Raw(b"null")
    defer_loading: bool = False
    allowed_callers: Raw = Raw(b"null")


class _ToolChoice(msgspec.Struct):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str
    schema: Raw = Raw(b"null")


class _OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


_KNOWN: Final = frozenset(
    (
        _CACHE,
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    )
)
_TIERS: Final[Mapping[str, str]] = MappingProxyType({"auto": "auto", "standard_only": "default"})
_DIRECT: Final = (b"null", b'["direct"]')  # values that mean the same as in other dialects: the model calls the tool

_decode_block = msgspec.json.Decoder(_Block).decode


def to_conversation(request: ChatRequest) -> Conversation:
    """Return a request as neutral values. Raises `InvalidRequest` for content that has no neutral value."""
    fields = Fields(request.fields)
    unsupported = list(fields.unknown(_KNOWN, _DEFAULTS))
    metadata = fields.get("metadata", _Metadata)
    config = fields.get("output_config", _OutputConfig) or _OutputConfig()
    for name, known in (("metadata", _Metadata), ("output_config", _OutputConfig)):
        if (raw := fields.raw(name)) is not None:
            unsupported += unknown_members(raw, known.__struct_fields__, name)
    system = list(_system(fields.get("system", str | list[Raw])))  # type: ignore[arg-type]
    turns: list[Turn] = []
    for index, message in enumerate(fields.get("messages", list[_Message]) or ()):
        path = f"messages[{index}].content"
        parts = tuple(_content(message.content, path, unsupported))
        if message.role == "system":
            system += only_text(parts, path)
        elif message.role == "user":
            turns.append(Turn("user", parts))
        elif message.role == "assistant":
            turns.append(Turn("assistant", parts))
        else:
            raise untranslatable(f"messages[{index}].role", f"there is no role {message.role[:40]!r}")
    choice = fields.get("tool_choice", _ToolChoice)
    tier = fields.get("service_tier", str)
    return Conversation(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple(_tools(fields, unsupported)),
        tool_choice=_tool_choice(choice),
        parallel_tool_calls=None if choice is None or not choice.disable_parallel_tool_use else False,
        output=_output(config.format or fields.get("output_format", _Format)),
        stop=tuple(fields.get("stop_sequences", list[str]) or ()),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=fields.get("top_p", float),
        top_k=fields.get("top_k", int),
        reasoning=_reasoning(fields.get("thinking", _Thinking), config.effort),
        user=None if metadata is None else metadata.user_id,
        service_tier=None if tier is None else _TIERS.get(tier, tier),
        stream=request.stream,
        unsupported=tuple(unsupported),
    )


def _system(system: str | list[Raw] | None) -> Iterator[Text]:
    if isinstance(system, str):
        yield Text(system)
    else:
        yield from only_text(tuple(_content(system or [], "system", [])), "system")


def _content(content: str | list[Raw] | None, path: str, unsupported: list[str]) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for index, raw in enumerate(content or ()):
        where = f"{path}[{index}]"
        try:
            block = _decode_block(raw)
        except msgspec.ValidationError:
            raise InvalidRequest(f"{where} is not a block of content", param=where, code="invalid_type") from None
        unsupported += unknown_members(raw, _Block.__struct_fields__, where)
        yield _part(block, where, unsupported)


def _part(block: _Block, path: str, unsupported: list[str]) -> Part:
    match block.type:
        case "text":
            return Text(block.text)
        case "thinking":
            return Thinking(block.thinking, block.signature)
        case "redacted_thinking":
            return Thinking(data=block.data)
        case "tool_use":
            return ToolCall(block.id, block.name, arguments_of(block.input))
        case "tool_result":
            parts = tuple(_content(block.content, f"{path}.content", unsupported))
            shown = tuple(part for part in parts if isinstance(part, Text | Image | Document))
            if len(shown) < len(parts):
                raise untranslatable(f"{path}.content", "a tool result holds text, images and documents")
            return ToolResult(block.tool_use_id, shown, block.is_error)
        case "image" if block.source is not None and block.source.type == "base64":
            return Image(data=block.source.data, media_type=block.source.media_type)
        case "image" if block.source is not None and block.source.type == "url":
            return Image(url=block.source.url)
        case "document" if block.source is not None:
            if b"true" in bytes(block.citations):
                unsupported.append(f"{path}.citations")
            return _document(block, block.source, path)
    raise untranslatable(path, f"a block of type {block.type[:40]!r} has no counterpart in the provider's API")


def _document(block: _Block, source: _Source, path: str) -> Document:
    match source.type:
        case "text":
            return Document(text=source.data, media_type=source.media_type, title=block.title)
        case "base64":
            return Document(data=source.data, media_type=source.media_type, title=block.title)
        case "url":
            return Document(url=source.url, title=block.title)
    raise untranslatable(
        path, f"a document from a source of type {source.type[:40]!r} has no counterpart in the provider's API"
    )


def _tools(fields: Fields, unsupported: list[str]) -> Iterator[Tool]:
    raws = fields.get("tools", list[Raw]) or ()
    for index, (tool, raw) in enumerate(zip(fields.get("tools", list[_Tool]) or (), raws, strict=True)):
        path = f"tools[{index}]"
        if tool.type not in (None, "custom"):
            raise untranslatable(path, f"a tool of type {tool.type[:40]!r} is specific to its provider")
        if tool.defer_loading:
            unsupported.append(f"{path}.defer_loading")
        if bytes(tool.allowed_callers) not in _DIRECT:
            unsupported.append(f"{path}.allowed_callers")
        unsupported += unknown_members(raw, _Tool.__struct_fields__, path)
        yield Tool(tool.name, tool.description, non_null(tool.input_schema), tool.strict)


def _tool_choice(choice: _ToolChoice | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case _ToolChoice(type="auto" | "none" as mode):
            return ToolChoice(mode)
        case _ToolChoice(type="any"):
            return ToolChoice("required")
        case _ToolChoice(type="tool", name=name):
            return ToolChoice("named", name)
    raise untranslatable("tool_choice", "only auto, any, tool and none can be")


def _output(format: _Format | None) -> OutputFormat | None:
    if format is None:
        return None
    if format.type != "json_schema" or non_null(format.schema) is None:
        raise untranslatable("output_config.format", "only json_schema with a schema can be")
    return OutputFormat(schema=format.schema, strict=True)


def _reasoning(thinking: _Thinking | None, effort: str | None) -> Reasoning | None:
    """Return the reasoning settings; other dialects need none for thinking that is disabled."""
    if thinking is None or thinking.type == "disabled":
        return None if effort is None else Reasoning(effort=effort)
    return Reasoning(effort=effort, budget_tokens=thinking.budget_tokens, is_adaptive=thinking.type == "adaptive")
