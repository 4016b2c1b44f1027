"""The input items of OpenAI's responses as turns."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from gateway.core.conversation import Document, Image, Part, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from gateway.core.errors import InvalidRequest
from gateway.dialects.fields import unknown_members
from gateway.dialects.openai_responses.reasoning import read_reasoning
from gateway.dialects.parts_in import document_in, image_at, missing, only_text
from gateway.dialects.unsupported_params import untranslatable


class _SummaryPart(msgspec.Struct):
    text: str


class _Item(msgspec.Struct):
    """Any item; members that its type lacks are empty."""

    type: str = "message"
    role: str = ""
    content: str | list[Raw] | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    output: str | list[Raw] | None = None
    summary: list[_SummaryPart] | None = None
    encrypted_content: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Raw = Raw(b"null")
    annotations: Raw = Raw(b"null")  # of an earlier answer
    logprobs: Raw = Raw(b"null")  # likewise


_decode_item = msgspec.json.Decoder(_Item).decode
_decode_part = msgspec.json.Decoder(_Part).decode


def read_items(input: str | list[Raw] | None, system: list[Text], unsupported: list[str]) -> Iterator[Turn]:
    """Yield turns; consecutive items of the model, reasoning and calls included, are one turn. Adds to `system`."""
    if isinstance(input, str):
        yield Turn("user", (Text(input),))
        return
    assistant: list[Part] = []
    for index, raw in enumerate(input or ()):
        path = f"input[{index}]"
        item = _item(raw, path)
        unsupported += unknown_members(raw, _Item.__struct_fields__, path)
        if item.type in ("function_call", "reasoning") or item.role == "assistant":
            assistant += _assistant_parts(item, path)
            continue
        if assistant:
            yield Turn("assistant", tuple(assistant))
            assistant = []
        if item.type == "function_call_output":
            yield Turn("user", (_result(item, path),))
        elif item.type == "message" and item.role == "user":
            yield Turn("user", tuple(_content(item.content, path)), item.name)
        elif item.type == "message" and item.role in ("system", "developer"):
            system += only_text(_content(item.content, path), path)
        elif item.type == "message":
            raise untranslatable(f"{path}.role", f"there is no role {item.role[:40]!r}")
        else:
            raise untranslatable(path, f"an item of type {item.type[:40]!r} belongs to the provider that created it")
    if assistant:
        yield Turn("assistant", tuple(assistant))


def _item(raw: Raw, path: str) -> _Item:
    try:
        return _decode_item(raw)
    except msgspec.ValidationError:
        raise InvalidRequest(f"{path} is not an item of a conversation", param=path, code="invalid_type") from None


def _assistant_parts(item: _Item, path: str) -> Iterator[Part]:
    match item.type:
        case "reasoning":
            thinking = read_reasoning(_reasoning_texts(item, path), item.encrypted_content)
            if thinking != Thinking():
                yield thinking
        case "function_call":
            if item.call_id is None or item.name is None:
                raise missing(f"{path}.{'name' if item.name is None else 'call_id'}")
            yield ToolCall(item.call_id, item.name, item.arguments)
        case _:
            yield from _content(item.content, path)


def _reasoning_texts(item: _Item, path: str) -> list[str]:
    """Return the summary of reasoning, or the reasoning itself, as servers of open models send it."""
    if item.summary or not isinstance(item.content, list):
        return [one.text for one in item.summary or ()]
    return [part.text for part in _content(item.content, path) if isinstance(part, Text)]


def _result(item: _Item, path: str) -> ToolResult:
    if item.call_id is None:
        raise missing(f"{path}.call_id")
    parts = tuple(_content(item.output, path, "output"))
    shown = tuple(part for part in parts if isinstance(part, Text | Image | Document))
    if len(shown) < len(parts):
        raise untranslatable(f"{path}.output", "a tool result holds text, images and files")
    return ToolResult(item.call_id, shown)


def _content(content: str | list[Raw] | None, path: str, member: str = "content") -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for index, raw in enumerate(content or ()):
        yield _part(raw, f"{path}.{member}[{index}]")


def _part(raw: Raw, path: str) -> Part:
    try:
        part = _decode_part(raw)
    except msgspec.ValidationError:
        raise InvalidRequest(f"{path} is not a part of a message", param=path, code="invalid_type") from None
    match part.type:
        case "input_text" | "output_text" | "reasoning_text" | "text":
            return Text(part.text)
        case "refusal":
            return Refusal(part.refusal)
        case "input_image" if part.image_url is not None:
            # this dialect requires a value; in others "auto" is the default
            return image_at(part.image_url, None if part.detail == "auto" else part.detail, path)
        case "input_file" if part.file_url is not None:
            return Document(url=part.file_url, title=part.filename)
        case "input_file" if part.file_data is not None:
            if (document := document_in(part.file_data, part.filename)) is not None:
                return document
            raise InvalidRequest(f"{path}.file_data is no base64 data URL", param=path, code="invalid_value")
        case "input_image" | "input_file" if part.file_id is not None:
            raise untranslatable(f"{path}.file_id", "the file is stored at the provider that it was sent to")
    raise untranslatable(path, f"a part of type {part.type[:40]!r} has no counterpart in the provider's API")
