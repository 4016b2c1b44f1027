"""Clients' requests of OpenAI's responses as neutral values; docs/responses.md has the table of what maps to what."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Conversation, OutputFormat, Reasoning, Text, Tool, ToolChoice
from gateway.dialects.fields import Fields, non_null, unknown_members
from gateway.dialects.openai_responses.items_in import read_items
from gateway.dialects.unsupported_params import untranslatable

PARAMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output": "text.format",
        "verbosity": "text.verbosity",
        "max_tokens": "max_output_tokens",
        "messages.name": "input.name",
    }
)

HINTS: Final = frozenset(
    ("prompt_cache_retention", "prompt_cache_options", "max_tool_calls", "stream_options", "safety_identifier")
)
"""Members that affect the cost of an answer, or concern tools that run at OpenAI: dropped silently."""

STATEFUL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "previous_response_id": "the previous response is stored at its provider: send the whole conversation",
        "conversation": "a conversation is stored at its provider: send all of it in `input`",
        "prompt": "the text of a prompt is stored at its provider: send it in `input`",
        "background": "a response to be fetched later needs a provider that speaks this API",
    }
)
"""Members that refer to state at the provider: rejected even if parameters may be dropped."""

_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({"truncation": "disabled", "top_logprobs": 0})
_INERT: Final = frozenset(
    (
        "reasoning.encrypted_content",  # always included if there is any
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    )
)
"""Values of `include` without effect: they concern only tools that are rejected anyway."""

_KNOWN: Final = (
    HINTS
    | STATEFUL.keys()
    | {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "service_tier",
        "store",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    }
)


class _Tool(msgspec.Struct):
    type: str
    name: str = ""
    description: str | None = None
    parameters: Raw = Raw(b"null")
    strict: bool | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str = ""


class _Format(msgspec.Struct):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw(b"null")
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


def to_conversation(request: ChatRequest) -> Conversation:
    """Return a request as neutral values. Raises `InvalidRequest` for content that has no neutral value."""
    fields = Fields(request.fields)
    _refuse_stateful(fields)
    unsupported = list(fields.unknown(_KNOWN, _DEFAULTS))
    text = fields.get("text", _Text) or _Text()
    reasoning = fields.get("reasoning", _Reasoning) or _Reasoning()
    for name, kind in (("text", _Text), ("reasoning", _Reasoning)):
        if (raw := fields.raw(name)) is not None:
            unsupported += unknown_members(raw, kind.__struct_fields__, name)
    if not _INERT.issuperset(fields.get("include", list[str]) or ()):
        unsupported.append("include")
    instructions = fields.get("instructions", str)
    system = [] if instructions is None else [Text(instructions)]
    turns = list(read_items(fields.get("input", str | list[Raw]), system, unsupported))  # type: ignore[arg-type]
    return Conversation(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple(_tools(fields, unsupported)),
        tool_choice=_tool_choice(fields),
        parallel_tool_calls=fields.get("parallel_tool_calls", bool),
        output=_output(text.format),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=fields.get("top_p", float),
        reasoning=_reasoning(reasoning),
        verbosity=text.verbosity,
        user=fields.get("user", str) or fields.get("safety_identifier", str),
        metadata=fields.get("metadata", dict[str, str]) or None,
        service_tier=fields.get("service_tier", str),
        prompt_cache_key=fields.get("prompt_cache_key", str),
        store=fields.get("store", bool),
        stream=request.stream,
        unsupported=tuple(unsupported),
    )


def _refuse_stateful(fields: Fields) -> None:
    for name, why in STATEFUL.items():
        value = fields.raw(name)
        if value is not None and bytes(value) != b"false":
            raise untranslatable(name, why)


def _tools(fields: Fields, unsupported: list[str]) -> Iterator[Tool]:
    raws = fields.get("tools", list[Raw]) or ()
    for index, (tool, raw) in enumerate(zip(fields.get("tools", list[_Tool]) or (), raws, strict=True)):
        path = f"tools[{index}]"
        if tool.type != "function":
            raise untranslatable(
                path, f"a tool of type {tool.type[:40]!r} runs only at a provider that speaks this API"
            )
        unsupported += unknown_members(raw, _Tool.__struct_fields__, path)
        yield Tool(tool.name, tool.description, non_null(tool.parameters), tool.strict)


def _tool_choice(fields: Fields) -> ToolChoice | None:
    match choice := fields.get("tool_choice", str | _ToolChoice):  # type: ignore[arg-type]
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case _ToolChoice(type="function"):
            return ToolChoice("named", choice.name)
    raise untranslatable("tool_choice", "only auto, none, required and a function can be")


def _output(format: _Format | None) -> OutputFormat | None:
    match format:
        case None | _Format(type="text"):
            return None
        case _Format(type="json_object"):
            return OutputFormat()
        case _Format(type="json_schema"):
            return OutputFormat(non_null(format.schema), format.name, format.description, format.strict)
    raise untranslatable("text.format", "only text, json_object and json_schema can be")


def _reasoning(format: _Reasoning) -> Reasoning | None:
    summary = format.summary or format.generate_summary
    return None if format.effort is None and summary is None else Reasoning(effort=format.effort, summary=summary)
