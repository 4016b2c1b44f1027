"""Generated conversations, answers and streams keep their meaning when translated to another dialect and back."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.conversation import (
    Completion,
    Conversation,
    Finish,
    Image,
    OutputFormat,
    Part,
    Signature,
    Start,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolChoice,
    ToolResult,
    Turn,
    UsageReport,
)
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages, openai_chat
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.sse import Framer, events

DIALECTS = st.sampled_from([openai_chat, anthropic_messages])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    [
        '"finish_reason":"stop"',
        '"usage":{',
        "data: [DONE]\n\n",
        '"content":"x"',
        '"text":"',
        "\u2028",
        "€\r\n\r\n",
        "_raw",
    ]
)
NAMES = st.from_regex(r"[a-zA-Z_]{1,8}", fullmatch=True)
OBJECTS = st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.lists(TEXTS, max_size=2), max_size=3).filter(
    lambda one: one.keys() != {"_raw"}  # which stands for text that is no object
)
ARGUMENTS = (
    OBJECTS.map(json.dumps) | OBJECTS.map(lambda one: json.dumps(one, ensure_ascii=False)) | TEXTS.map("[".__add__)
)
SCHEMAS = st.dictionaries(NAMES, st.sampled_from([{"type": "string"}, {"type": "number"}]), max_size=2).map(
    lambda props: msgspec.Raw(json.dumps({"type": "object", "properties": props}).encode())
)
IMAGES = st.builds(Image, data=st.sampled_from(["AAAA", "iVBORw0KGgo="]), media_type=st.just("image/png")) | st.builds(
    Image, url=st.just("https://x.test/a.png")
)
COUNTS = st.integers(0, 10**6)
USAGES = st.builds(Usage, input=COUNTS, cached_input=COUNTS, cache_write=COUNTS, output=COUNTS, reasoning=COUNTS)


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Return the turns of an agent: parallel calls, each with a result in the next turn."""
    found: list[Turn] = []
    calls: list[ToolCall] = []
    for number in range(draw(st.integers(1, 4))):
        parts: list[Part] = [ToolResult(call.id, (Text(draw(TEXTS)),)) for call in calls]
        if not calls or draw(st.booleans()):
            parts += draw(st.lists(TEXTS.map(Text) | IMAGES, min_size=1, max_size=3))
        found.append(Turn("user", tuple(parts)))
        size = draw(st.integers(0, 3))
        calls = [ToolCall(f"call_{number}_{at}", draw(NAMES), draw(ARGUMENTS)) for at in range(size)]
        thoughts = [Thinking(draw(TEXTS))] if draw(st.booleans()) else []
        words = draw(st.lists(TEXTS.map(Text), min_size=0 if calls else 1, max_size=2))
        found.append(Turn("assistant", (*thoughts, *words, *calls)))
    return tuple(found)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Return conversations that both dialects can express."""
    tools = draw(
        st.lists(st.builds(Tool, NAMES, st.none() | TEXTS, SCHEMAS), max_size=2, unique_by=lambda one: one.name)
    )
    choices = st.none() | st.sampled_from([ToolChoice("auto"), ToolChoice("required"), ToolChoice("none")])
    if tools:
        choices |= st.just(ToolChoice("named", tools[0].name))
    choice = draw(choices) if tools else None
    return Conversation(
        turns=draw(turns()),
        system=tuple(draw(st.lists(TEXTS.map(Text), max_size=2))),
        tools=tuple(tools),
        tool_choice=choice,
        parallel_tool_calls=False if tools and choice != ToolChoice("none") and draw(st.booleans()) else None,
        output=draw(st.none() | st.builds(OutputFormat, SCHEMAS)),
        stop=tuple(draw(st.lists(TEXTS, max_size=2))),
        max_tokens=draw(st.integers(1, 9999)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0])),
        top_p=draw(st.none() | st.sampled_from([0.1, 1.0])),
        user=draw(st.none() | NAMES),
        stream=draw(st.booleans()),
    )


def spoken(conversation: Conversation, dialect: Dialect) -> Conversation:
    """Return a conversation as a provider of a dialect decodes it."""
    return dialect.to_conversation(
        dialect.decode_request(dialect.from_conversation(conversation, "m", UnsupportedParams()))
    )


def meaning(conversation: Conversation, *, thoughts: bool) -> dict[str, Any]:
    """Return a conversation in a normal form: consecutive texts are one, `auto` is the default, a schema is parsed JSON."""
    return {
        "turns": [(turn.role, list(joined(turn.parts, thoughts))) for turn in conversation.turns],
        "system": [part.text for part in conversation.system],
        "tools": [(one.name, one.description, read(one.schema)) for one in conversation.tools],
        "choice": None if conversation.tool_choice == ToolChoice("auto") else conversation.tool_choice,
        "parallel": conversation.parallel_tool_calls is not False,
        "output": None if conversation.output is None else read(conversation.output.schema),
        "others": [
            getattr(conversation, name) for name in ("stop", "max_tokens", "temperature", "top_p", "user", "stream")
        ],
    }


def joined(parts: tuple[Part, ...], thoughts: bool) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        if isinstance(part, Thinking) and not thoughts:
            continue
        if isinstance(part, ToolCall):
            found.append((part.id, part.name, arguments(part.arguments)))
        else:
            found.append(part)
    return found


def arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read(value: msgspec.Raw | None) -> Any:
    return None if value is None else json.loads(bytes(value))


def merged(conversation: Conversation) -> Conversation:
    """Join what one side says in a row, as a dialect does whose roles take turns."""
    found: list[Turn] = []
    for turn in conversation.turns:
        if found and found[-1].role == turn.role:
            found[-1] = Turn(turn.role, found[-1].parts + turn.parts)
        else:
            found.append(turn)
    return msgspec.structs.replace(conversation, turns=tuple(found))


@given(conversations(), DIALECTS)
def test_a_request_means_the_same_in_the_other_dialect_and_back(given_request: Conversation, first: Dialect) -> None:
    second = anthropic_messages if first is openai_chat else openai_chat
    there = spoken(given_request, first)
    back = spoken(there, second)
    again = spoken(back, first)
    stated = meaning(given_request, thoughts=False)
    for decoded_by_client in (there, back, again):
        assert meaning(merged(decoded_by_client), thoughts=False) == stated


@given(turns())
def test_thoughts_go_back_to_whoever_can_use_them(stated: tuple[Turn, ...]) -> None:
    given_request = Conversation(turns=stated, max_tokens=9)
    unsigned = meaning(given_request, thoughts=True)["turns"]
    assert meaning(merged(spoken(given_request, openai_chat)), thoughts=True)["turns"] == unsigned
    signed = [Turn(t.role, tuple(map(sign, t.parts))) for t in stated]
    given_request = msgspec.structs.replace(given_request, turns=tuple(signed))
    assert (
        meaning(spoken(given_request, anthropic_messages), thoughts=True)["turns"]
        == meaning(given_request, thoughts=True)["turns"]
    )


def sign(part: Part) -> Part:
    return Thinking(part.text, signature=f"s{part.text}") if isinstance(part, Thinking) else part


# Answers


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    calls = [ToolCall(f"c{at}", draw(NAMES), draw(ARGUMENTS)) for at in range(draw(st.integers(0, 3)))]
    thoughts = [Thinking(draw(TEXTS))] if draw(st.booleans()) else []
    words = [Text(draw(TEXTS))] if not calls or draw(st.booleans()) else []
    stop = "tool_use" if calls else draw(st.sampled_from(["end", "max_tokens"]))
    return Completion("id-1", draw(NAMES), (*thoughts, *words, *calls), stop, usage=draw(USAGES), created=7)


@given(completions(), DIALECTS)
def test_an_answer_means_the_same_in_either_dialect(answer: Completion, dialect: Dialect) -> None:
    request = request_of(dialect)
    decoded_by_client = dialect.decode_answer(dialect.encode_answer(answer, request))
    assert joined(decoded_by_client.parts, thoughts=True) == joined(answer.parts, thoughts=True)
    assert (decoded_by_client.id, decoded_by_client.model, decoded_by_client.stop, decoded_by_client.usage) == (
        answer.id,
        answer.model,
        answer.stop,
        answer.usage,
    )


def request_of(dialect: Dialect) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 9}
    body |= {"stream_options": {"include_usage": True}} if dialect is openai_chat else {}
    return dialect.decode_request(json.dumps(body).encode())


# Streams


@dataclass(frozen=True)
class Said:
    """The content of a whole stream."""

    parts: list[Any]
    stop: str | None
    usage: Usage | None


@st.composite
def streams(draw: st.DrawFn, *, mixed: bool = False) -> list[StreamEvent]:
    """Return the events of an answer; with `mixed` the calls interleave, as chat completions allow."""
    found: list[StreamEvent] = [Start("id-1", "m", 7)]
    index = 0
    if draw(st.booleans()):
        found += [ThinkingDelta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
        index += 1
    if draw(st.booleans()):
        found += [TextDelta(index, text) for text in draw(st.lists(TEXTS, min_size=1, max_size=4))]
        index += 1
    calls = []
    for number in range(draw(st.integers(0, 3))):
        text = json.dumps(draw(OBJECTS))
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b]
        start = ToolCallStart(index + number, f"c{number}", draw(NAMES))
        calls.append([start, *(ToolCallDelta(index + number, piece) for piece in pieces)])
    if mixed:
        left = [list(call) for call in calls]
        found += [call.pop(0) for call in left for _ in range(2)]  # they begin in their order
        while left := [call for call in left if call]:
            found.append(draw(st.sampled_from(left)).pop(0))
    else:
        found += [event for call in calls for event in call]
    return [*found, Finish("tool_use" if calls else "end"), UsageReport(draw(USAGES))]


def stated(events: list[StreamEvent]) -> Said:
    parts: dict[int, list[Any]] = {}
    stop, usage = None, None
    for event in events:
        match event:
            case TextDelta() | ThinkingDelta():
                parts.setdefault(event.index, [type(event).__name__, ""])[1] += event.text
            case ToolCallStart():
                parts[event.index] = [event.id, event.name, ""]
            case ToolCallDelta():
                parts[event.index][2] += event.arguments
            case Finish():
                stop = event.stop
            case UsageReport():
                usage = event.usage
    return Said(list(parts.values()), stop, usage)


def decoded_by_client(stream: bytes, dialect: Dialect) -> Said:
    """Read a client's stream with the same dialect's own reader, the slow way and the fast."""
    slow, fast = dialect.open_decoder(), dialect.open_decoder()
    reported: list[StreamEvent] = []
    for event in events(stream):
        found = list(slow.feed(event))
        reported += found
        if (string := fast.string_delta(event)) is not None:
            assert [one.text if not isinstance(one, ToolCallDelta) else one.arguments for one in found] == [
                json.loads(string)
            ], "the fast path says the same"
        else:
            assert list(fast.feed(event)) == found
    assert slow.is_done and fast.is_done
    return stated(reported)


def written(story: list[StreamEvent], dialect: Dialect) -> bytes:
    encoder = dialect.open_encoder(request_of(dialect))
    return b"".join(map(encoder.encode, story)) + encoder.finish()


@given(streams(), DIALECTS)
def test_a_stream_is_read_as_it_was_written(story: list[StreamEvent], dialect: Dialect) -> None:
    assert decoded_by_client(written(story, dialect), dialect) == stated(story)


@given(streams(mixed=True))
def test_calls_that_take_turns_come_in_blocks_one_after_the_other(story: list[StreamEvent]) -> None:
    stream = written(story, anthropic_messages)
    assert decoded_by_client(stream, anthropic_messages) == stated(story)
    open_block = None
    for event in events(stream):
        data = json.loads(event.partition(b"data: ")[2])
        if data["type"] == "content_block_start":
            assert open_block is None
            open_block = data["index"]
        elif data["type"].startswith("content_block"):
            assert data["index"] == open_block
            open_block = None if data["type"] == "content_block_stop" else open_block


@given(streams(mixed=True), st.lists(st.integers(1, 400), min_size=1, max_size=8), st.data())
def test_a_translated_stream_says_the_same_however_it_is_cut(
    story: list[StreamEvent], sizes: list[int], data: st.DataObject
) -> None:
    provider = data.draw(DIALECTS)
    client = anthropic_messages if provider is openai_chat else openai_chat
    stream = written(story, provider)
    meter, framer = Meter(), Framer(2**20)
    codec = bridge(client, provider).read_stream(meter, request_of(client), 7.0)
    out, at = b"", 0
    while at < len(stream):
        size = sizes[0]
        sizes = [*sizes[1:], size]
        out += codec.forward(framer.feed(stream[at : at + size]))
        at += size
    assert codec.closing() == b"" and not codec.has_failed
    assert decoded_by_client(out, client) == stated(story)
    assert meter.usage == stated(story).usage


@given(streams(), st.integers(0, 10**6), DIALECTS)
def test_a_stream_that_breaks_off_never_looks_complete(story: list[StreamEvent], at: int, provider: Dialect) -> None:
    client = anthropic_messages if provider is openai_chat else openai_chat
    stream = written(story, provider)
    finished = stream.index(b'"finish_reason":"' if provider is openai_chat else b'"message_stop"')
    framer = Framer(2**20)
    codec = bridge(client, provider).read_stream(Meter(), request_of(client), 7.0)
    out = codec.forward(framer.feed(stream[: at % finished]))
    assert codec.closing() is None
    assert b"[DONE]\n\n" not in out.replace(b"\\n\\n", b"") or b"data: [DONE]\n\n" not in out
    assert b"event: message_stop" not in out and b'"stop_reason":"' not in out


def test_signed_thoughts_reach_a_client_that_gives_them_back_whole() -> None:
    story: list[StreamEvent] = [
        Start("i", "m"),
        ThinkingDelta(0, "a"),
        ThinkingDelta(0, 'b"'),
        Signature(0, "sig"),
        Signature(1, data="xyz"),
        TextDelta(2, "so"),
        Finish("end"),
    ]
    codec = bridge(openai_chat, anthropic_messages).read_stream(Meter(), request_of(openai_chat), 7.0)
    out = codec.forward(written(story, anthropic_messages))
    blocks = [
        block
        for event in events(out)
        if event.startswith(b"data: {")
        for choice in json.loads(event[6:])["choices"]
        for block in choice["delta"].get("thinking_blocks", [])
    ]
    given = [
        {"type": "thinking", "thinking": 'ab"', "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
    ]
    assert blocks == [{"index": index, **block} for index, block in enumerate(given)]
    message = {"role": "assistant", "content": "so", "reasoning_content": 'ab"', "thinking_blocks": blocks}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}, message]}
    request = openai_chat.decode_request(json.dumps(body).encode())
    sent = json.loads(bridge(openai_chat, anthropic_messages).encode_request(request, "m"))
    assert sent["messages"][1]["content"] == [*given, {"type": "text", "text": "so"}]
