"""Requests of OpenAI's chat completions for providers; docs/dialects.md has the table of what maps to what."""

import re
from collections.abc import Iterator, Sequence
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
from gateway.dialects.request_body import join_members
from gateway.dialects.unsupported_params import UnsupportedParams, untranslatable

_NEWER = re.compile(r"(?:.*/)?(?:gpt-(?:[5-9]|\d\d)|o\d)")  # models that accept only `max_completion_tokens`

_NULL: Final = Raw(b"null")
_TRUE: Final = Raw(b"true")

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode

# To a provider that speaks the dialect


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Return the client's bytes for a provider that calls the model `model`, with what must change.

    That is the model's name, and for a stream `include_usage`: the gateway needs the usage, whether or not the client asks for it.
    """
    raw = request.raw
    asks_usage = request.stream and not request.wants_usage
    if model == request.model and not (asks_usage and request.has_stream_options):
        return _with_usage_first(raw) if asks_usage else raw
    fields = dict(request.fields)
    if model != request.model:
        fields["model"] = Raw(msgspec.json.encode(model))
    if asks_usage:
        options = _decode_fields(fields["stream_options"]) if _has_options(fields) else {}
        fields["stream_options"] = Raw(join_members({**options, "include_usage": _TRUE}))
    return join_members(fields)


def _with_usage_first(raw: bytes) -> bytes:
    start = raw.index(b"{") + 1
    return b"".join((b'{"stream_options":{"include_usage":true},', memoryview(raw)[start:]))


def _has_options(fields: dict[str, Raw]) -> bool:
    return bytes(fields.get("stream_options", _NULL)) != b"null"


# From another dialect


def from_conversation(conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
    """Return the body of a request in this dialect. Raises `InvalidRequest` for what the dialect can't express."""
    for name in conversation.unsupported:
        unsupported.drop(name)
    if conversation.top_k is not None:
        unsupported.drop("top_k")
    effort = _effort(conversation.reasoning)
    newer = effort is not None or _NEWER.match(model) is not None
    body: dict[str, Any] = {
        "model": model,
        "messages": list(_messages(conversation)),
        "max_completion_tokens" if newer else "max_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "stop": list(conversation.stop) or None,
        "seed": conversation.seed,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "logit_bias": conversation.logit_bias,
        "n": None if conversation.n in (None, 1) else conversation.n,
        "tools": [_write_tool(tool) for tool in conversation.tools] or None,
        "tool_choice": _write_choice(conversation.tool_choice) if conversation.tools else None,
        "parallel_tool_calls": conversation.parallel_tool_calls if conversation.tools else None,
        "response_format": _write_output(conversation.output),
        "reasoning_effort": effort,
        "verbosity": conversation.verbosity,
        "user": conversation.user,
        "metadata": conversation.metadata,
        "service_tier": conversation.service_tier,
        "prompt_cache_key": conversation.prompt_cache_key,
        "store": conversation.store,
        "stream": conversation.stream or None,
        "stream_options": {"include_usage": True} if conversation.stream else None,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _messages(conversation: Conversation) -> Iterator[dict[str, Any]]:
    if conversation.system:
        yield {"role": "system", "content": _write_content(conversation.system)}
    for turn in conversation.turns:
        if turn.role == "assistant":
            yield _write_assistant(turn)
        else:
            yield from _write_user(turn)


def _write_user(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield a message for each tool result, then one for the rest; images of results move there, as results are text only."""
    rest: list[Part] = []
    for part in turn.parts:
        if not isinstance(part, ToolResult):
            rest.append(part)
            continue
        texts = [one for one in part.parts if not isinstance(one, Image)]
        images = [one for one in part.parts if isinstance(one, Image)]
        if part.is_error:
            texts.insert(0, Text("Error: "))
        yield {"role": "tool", "tool_call_id": part.id, "content": "".join(map(_plain, texts))}
        if images:
            rest[:0] = [Text(f"What the tool call {part.id} shows:"), *images]
    if rest or not turn.parts:
        yield _named({"role": "user", "content": _write_content(rest)}, turn)


def _write_assistant(turn: Turn) -> dict[str, Any]:
    texts = [part for part in turn.parts if isinstance(part, Text)]
    message: dict[str, Any] = {"role": "assistant", "content": _write_content(texts) if texts else None}
    if thinking := "".join(p.text for p in turn.parts if isinstance(p, Thinking) and not (p.signature or p.data)):
        message["reasoning_content"] = thinking
    if refusal := "".join(part.text for part in turn.parts if isinstance(part, Refusal)):
        message["refusal"] = refusal
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in calls
        ]
    elif message["content"] is None:
        message["content"] = ""
    return _named(message, turn)


def _named(message: dict[str, Any], turn: Turn) -> dict[str, Any]:
    return message if turn.name is None else {**message, "name": turn.name}


def _write_content(parts: Sequence[Part]) -> Any:
    """Return a string for a single text, which every server accepts, otherwise a list of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_write_part(part) for part in parts]


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": part.detail} if part.detail else {})}
        case Document():
            return {"type": "text", "text": _plain(part)}
    raise untranslatable(
        "messages", f"a part {type(part).__name__} has no place in a user's message of the provider's API"
    )


def _plain(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case Document(url="", data=""):
            return f"{part.title}\n\n{part.text}" if part.title else part.text
    raise untranslatable("messages", "a document that is no plain text has no counterpart in the provider's API")


def _write_tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema, "strict": tool.strict}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _write_choice(choice: ToolChoice | None) -> Any:
    if choice is None or choice.mode != "named":
        return None if choice is None else choice.mode
    return {"type": "function", "function": {"name": choice.name}}


def _write_output(output: OutputFormat | None) -> dict[str, Any] | None:
    if output is None:
        return None
    if output.schema is None:
        return {"type": "json_object"}
    schema = {
        "name": output.name or "answer",
        "description": output.description,
        "schema": output.schema,
        "strict": True if output.strict is None else output.strict,
    }
    return {"type": "json_schema", "json_schema": {key: value for key, value in schema.items() if value is not None}}


def _effort(reasoning: Reasoning | None) -> str | None:
    if reasoning is None:
        return None
    if reasoning.effort is not None or reasoning.budget_tokens is None:
        return reasoning.effort
    return next((name for limit, name in ((2048, "low"), (8192, "medium")) if reasoning.budget_tokens <= limit), "high")
