"""Requests of OpenAI's responses for providers; docs/responses.md has the table of what maps to what."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

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
from gateway.dialects.openai_responses.reasoning import own_item
from gateway.dialects.unsupported_params import UnsupportedParams, untranslatable

_UNSUPPORTED: Final = ("top_k", "seed", "logit_bias")  # parameters without a counterpart
_PENALTIES: Final = ("presence_penalty", "frequency_penalty")  # likewise, unless they are 0
_BUDGETS: Final = ((2048, "low"), (8192, "medium"))  # tokens of thinking up to which an effort applies
_NO_ARGUMENTS: Final = {"type": "object", "properties": {}}


def from_conversation(conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
    """Return the body of a request in this dialect. Raises `InvalidRequest` for what the dialect can't express.

    `store` is false unless the client sets it; the API's own default is true.
    """
    for name in (*conversation.unsupported, *_unsupported_params(conversation)):
        unsupported.drop(name)
    instructions = conversation.system[0].text if len(conversation.system) == 1 else None
    body: dict[str, Any] = {
        "model": model,
        "instructions": instructions,
        "input": list(_items(conversation, unsupported)),
        "tools": [_write_tool(tool) for tool in conversation.tools] or None,
        "tool_choice": _write_choice(conversation.tool_choice) if conversation.tools else None,
        "parallel_tool_calls": conversation.parallel_tool_calls if conversation.tools else None,
        "text": _without_nulls({"format": _write_output(conversation.output), "verbosity": conversation.verbosity})
        or None,
        "reasoning": _write_reasoning(conversation.reasoning),
        "max_output_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "user": conversation.user,
        "metadata": conversation.metadata,
        "service_tier": conversation.service_tier,
        "prompt_cache_key": conversation.prompt_cache_key,
        "include": ["reasoning.encrypted_content"] if conversation.reasoning is not None else None,
        "store": bool(conversation.store),
        "stream": conversation.stream or None,
    }
    return msgspec.json.encode(_without_nulls(body))


def _without_nulls(shape: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if value is not None}


def _unsupported_params(conversation: Conversation) -> Iterator[str]:
    for name in _UNSUPPORTED:
        if getattr(conversation, name) is not None:
            yield name
    for name in _PENALTIES:
        if getattr(conversation, name):
            yield name
    if conversation.stop:
        yield "stop"
    if conversation.n not in (None, 1):
        yield "n"


# Items


def _items(conversation: Conversation, unsupported: UnsupportedParams) -> Iterator[dict[str, Any]]:
    if len(conversation.system) > 1:
        yield _message("system", [{"type": "input_text", "text": part.text} for part in conversation.system])
    for turn in conversation.turns:
        if turn.name is not None:
            unsupported.drop("messages.name")
        yield from _write_assistant(turn) if turn.role == "assistant" else _write_user(turn)


def _message(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def _write_user(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield an item for each tool result, then a message of the rest."""
    rest: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            yield {"type": "function_call_output", "call_id": part.id, "output": _write_output_of(part)}
        else:
            rest.append(part)
    if rest or not turn.parts:
        yield _message("user", [_write_part(part) for part in rest])


def _write_output_of(result: ToolResult) -> Any:
    """Return a string for text alone, which every server accepts. The API has no flag for a failed tool call."""
    parts: list[Part] = [Text("Error: "), *result.parts] if result.is_error else list(result.parts)
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [_write_part(part) for part in parts]


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case Document(url="", data=""):
            text = f"{part.title}\n\n{part.text}" if part.title else part.text
            return {"type": "input_text", "text": text}
        case Document(url=""):
            data = f"data:{part.media_type};base64,{part.data}"
            return {"type": "input_file", "filename": part.title or "document", "file_data": data}
        case Document():
            return {"type": "input_file", "file_url": part.url}
    raise untranslatable(
        "messages", f"a part {type(part).__name__} has no place in a user's message of the provider's API"
    )


def _write_assistant(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield items in their order; consecutive texts and refusals are one message."""
    content: list[dict[str, Any]] = []
    for part in turn.parts:
        match part:
            case Text():
                content.append({"type": "output_text", "text": part.text, "annotations": []})
                continue
            case Refusal():
                content.append({"type": "refusal", "refusal": part.text})
                continue
            case ToolCall():
                item = _write_call(part)
            case Thinking():
                kept = own_item(part)
                if kept is None:  # of another provider, unreadable to this one
                    continue
                item = kept
            case _:
                raise untranslatable(
                    "messages", f"a part {type(part).__name__} has no place in a model's message of the provider's API"
                )
        yield from _flushed(content)
        content = []
        yield item
    yield from _flushed(content)
    if not turn.parts:
        yield _assistant_message([{"type": "output_text", "text": "", "annotations": []}])


def _flushed(content: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return (_assistant_message(list(content)),) if content else ()


def _assistant_message(content: list[dict[str, Any]]) -> dict[str, Any]:
    return _message("assistant", content) | {"status": "completed"}


def _write_call(call: ToolCall) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


# Tools, formats, thinking


def _write_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool; `strict` is always written, because its default is true here and false in other dialects."""
    shape = {"type": "function", "name": tool.name, "description": tool.description}
    schema = tool.schema if tool.schema is not None else _NO_ARGUMENTS
    return _without_nulls(shape | {"parameters": schema, "strict": bool(tool.strict)})


def _write_choice(choice: ToolChoice | None) -> Any:
    if choice is None or choice.mode != "named":
        return None if choice is None else choice.mode
    return {"type": "function", "name": choice.name}


def _write_output(output: OutputFormat | None) -> dict[str, Any] | None:
    if output is None:
        return None
    if output.schema is None:
        return {"type": "json_object"}
    shape = {
        "type": "json_schema",
        "name": output.name or "answer",
        "description": output.description,
        "schema": output.schema,
        "strict": True if output.strict is None else output.strict,
    }
    return _without_nulls(shape)


def _write_reasoning(reasoning: Reasoning | None) -> dict[str, Any] | None:
    """Return the reasoning settings; a request with a thinking budget also gets a summary, as clients show it."""
    if reasoning is None:
        return None
    effort, summary = reasoning.effort, reasoning.summary
    if reasoning.budget_tokens is not None:
        budget = reasoning.budget_tokens
        effort = effort or next((name for limit, name in _BUDGETS if budget <= limit), "high")
    if reasoning.budget_tokens is not None or reasoning.is_adaptive:
        summary = summary or "auto"
    return _without_nulls({"effort": effort, "summary": summary}) or None
