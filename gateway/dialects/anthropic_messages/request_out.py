"""Requests of Anthropic's messages for providers; docs/dialects.md has the table of what maps to what."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from gateway.dialects.anthropic_messages.answer import write_block
from gateway.dialects.unsupported_params import UnsupportedParams

DEFAULT_MAX_TOKENS: Final = 4096
MIN_BUDGET: Final = 1024  # tokens of thinking; the API's own minimum

_UNSUPPORTED: Final = ("seed", "logit_bias", "verbosity", "metadata")  # parameters without a counterpart
_PENALTIES: Final = ("presence_penalty", "frequency_penalty")  # likewise, unless they are 0
_CHOICES: Final[Mapping[str, str]] = MappingProxyType(
    {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
)
_TIERS: Final[Mapping[str, str]] = MappingProxyType({"auto": "auto", "default": "standard_only"})
_BUDGETS: Final[Mapping[str, int]] = MappingProxyType(
    {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
)
_TAKES_BUDGET = re.compile(r".*claude-(?:3|[a-z]+-(?:3|4-[0-5](?!\d)|4-\d{8}|4$))")
"""Models that accept a thinking budget and no effort; later models accept an effort."""


def from_conversation(conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
    """Return the body of a request in this dialect. Raises `InvalidRequest` for what the dialect can't express."""
    for name in (*conversation.unsupported, *_unsupported_params(conversation)):
        unsupported.drop(name)
    temperature = conversation.temperature
    if temperature is not None and temperature > 1:
        unsupported.drop("temperature", "the maximum of the provider's API is 1")
        temperature = None
    thinking, effort = _thinking(conversation, model, unsupported)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": _max_tokens(conversation, thinking),
        "system": [{"type": "text", "text": part.text} for part in conversation.system if part.text] or None,
        "messages": list(_messages(conversation, unsupported)),
        "temperature": temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "stop_sequences": list(conversation.stop) or None,
        "tools": [_write_tool(tool) for tool in conversation.tools] or None,
        "tool_choice": _write_choice(conversation),
        "thinking": thinking,
        "output_config": _write_config(_format(conversation.output, unsupported), effort),
        "metadata": None if conversation.user is None else {"user_id": conversation.user},
        "service_tier": _tier(conversation, unsupported),
        "stream": conversation.stream or None,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _unsupported_params(conversation: Conversation) -> Iterator[str]:
    for name in _UNSUPPORTED:
        if getattr(conversation, name) is not None:
            yield name
    for name in _PENALTIES:
        if getattr(conversation, name):
            yield name
    if conversation.n not in (None, 1):
        yield "n"
    if conversation.store:
        yield "store"


def _max_tokens(conversation: Conversation, thinking: Mapping[str, Any] | None) -> int:
    """Return the limit that the API requires; a default leaves room for the thinking that the limit includes."""
    if conversation.max_tokens is not None:
        return conversation.max_tokens
    budget: int = (thinking or {}).get("budget_tokens", 0)
    return DEFAULT_MAX_TOKENS + budget


# Turns


def _messages(conversation: Conversation, unsupported: UnsupportedParams) -> Iterator[dict[str, Any]]:
    """Yield messages with alternating roles: consecutive turns of one role are one message, tool results first."""
    role = ""
    content: list[dict[str, Any]] = []
    for turn in conversation.turns:
        if turn.name is not None:
            unsupported.drop("messages.name")
        blocks = list(_blocks(turn.parts))
        if blocks and turn.role != role and content:
            yield {"role": role, "content": _in_order(content)}
            content = []
        if blocks:
            role = turn.role
            content += blocks
    if content:
        yield {"role": role, "content": _in_order(content)}


def _in_order(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(content, key=lambda block: block["type"] != "tool_result")


def _blocks(parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
    """Yield blocks, without empty texts, which the API rejects, and without unsigned thinking."""
    for part in parts:
        match part:
            case Thinking(signature="", data="") | Text(text="") | Refusal(text=""):
                pass
            case Text() | Thinking() | Refusal() | ToolCall():
                yield write_block(part)
            case ToolResult():
                result: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.id}
                if blocks := list(_blocks(part.parts)):
                    result["content"] = blocks
                yield result | ({"is_error": True} if part.is_error else {})
            case Image(url="") | Document(url="", text=""):
                source = {"type": "base64", "media_type": part.media_type, "data": part.data}
                yield _sourced(part, source)
            case Document(url=""):
                yield _sourced(part, {"type": "text", "media_type": part.media_type or "text/plain", "data": part.text})
            case Image() | Document():
                yield _sourced(part, {"type": "url", "url": part.url})


def _sourced(part: Image | Document, source: dict[str, str]) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "image", "source": source}
    return {"type": "document", "source": source} | ({"title": part.title} if part.title else {})


# Tools, formats, thinking


def _write_tool(tool: Tool) -> dict[str, Any]:
    shape: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        shape["description"] = tool.description
    shape["input_schema"] = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
    return shape | ({"strict": True} if tool.strict else {})


def _write_choice(conversation: Conversation) -> dict[str, Any] | None:
    """Return the tool choice, which includes the setting of parallel calls; None without tools, as the API rejects it."""
    if not conversation.tools or (conversation.tool_choice is None and conversation.parallel_tool_calls is not False):
        return None
    choice = conversation.tool_choice
    mode = "auto" if choice is None else choice.mode
    shape: dict[str, Any] = {"type": _CHOICES[mode]}
    if choice is not None and mode == "named":
        shape["name"] = choice.name
    if conversation.parallel_tool_calls is False and mode != "none":
        shape["disable_parallel_tool_use"] = True
    return shape


def _format(output: OutputFormat | None, unsupported: UnsupportedParams) -> dict[str, Any] | None:
    if output is None:
        return None
    if output.schema is None:
        unsupported.drop("output", "the provider's API needs a schema for JSON (json_schema)")
        return None
    return {"type": "json_schema", "schema": output.schema}


def _write_config(output: dict[str, Any] | None, effort: str | None) -> dict[str, Any] | None:
    config = {"effort": effort, "format": output}
    return {name: value for name, value in config.items() if value is not None} or None


def _thinking(
    conversation: Conversation, model: str, unsupported: UnsupportedParams
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the parameter `thinking` and the effort.

    Between tool calls the API needs the signed thinking before them back. If a client has not kept it, the rest of the turn runs
    without thinking; otherwise every request would fail.
    """
    reasoning = conversation.reasoning
    if reasoning is None or reasoning.effort == "none" or _lacks_signed_thinking(conversation):
        return None, None
    if _TAKES_BUDGET.match(model) is None:
        return {"type": "adaptive"}, {"minimal": "low"}.get(reasoning.effort or "", reasoning.effort)
    budget = reasoning.budget_tokens or _BUDGETS.get(reasoning.effort or "medium", MIN_BUDGET)
    if conversation.max_tokens is not None:
        budget = min(budget, conversation.max_tokens - 1)
    if budget < MIN_BUDGET:
        unsupported.drop("reasoning", f"thinking takes at least {MIN_BUDGET} tokens, and max_tokens leaves fewer")
        return None, None
    return {"type": "enabled", "budget_tokens": budget}, None


def _lacks_signed_thinking(conversation: Conversation) -> bool:
    for turn in reversed(conversation.turns):
        if turn.role == "assistant":
            is_signed = any(isinstance(part, Thinking) and (part.signature or part.data) for part in turn.parts)
            return not is_signed and any(isinstance(part, ToolCall) for part in turn.parts)
        if not all(isinstance(part, ToolResult) for part in turn.parts):
            return False
    return False


def _tier(conversation: Conversation, unsupported: UnsupportedParams) -> str | None:
    if conversation.service_tier is None or conversation.service_tier in _TIERS:
        return None if conversation.service_tier is None else _TIERS[conversation.service_tier]
    unsupported.drop("service_tier", f"the provider's API has no tier {conversation.service_tier[:40]!r}")
    return None
