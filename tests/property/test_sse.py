"""Any stream, cut anywhere, is the same stream."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.streaming.sse import EventTooLarge, Framer, data_of, events

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["data: [DONE]", "data: [DONE]\n\n", "\u2028", "\u2029", "\u0085", "\ufeff", "\x00", "é" * 9, "😀"]
    ),
)


@st.composite
def lines_of_an_event(draw: st.DrawFn) -> list[bytes]:
    """Draw the lines of one event, without their ends."""
    kind = draw(st.sampled_from(["json", "json", "json", "lines", "comment", "named", "odd", "huge"]))
    space = draw(st.sampled_from([b" ", b""]))
    document = json.dumps({"text": draw(TEXTS)}, ensure_ascii=False, separators=(",", ":"))
    data = document.encode("utf-8", "surrogatepass")
    match kind:
        case "lines":
            return [b"data:" + space + line for line in (b"{", data[1:-1], b"}")]
        case "comment":
            return [b":" + space + b"OPENROUTER PROCESSING"]
        case "named":
            return [b"event: message", b"id: 7", b"data:" + space + data, b"retry: 10"]
        case "odd":
            return [draw(st.sampled_from([b"data", b"data:", b"data: [DONE]", b"database: 1", b"\xef\xbb\xbfdata: 1"]))]
        case "huge":
            return [b"data:" + space + b"x" * draw(st.integers(1000, 5000))]
        case _:
            return [b"data:" + space + data]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a stream of whole events with any line ends, some with more than one empty line between them."""
    parts = []
    for lines in draw(st.lists(lines_of_an_event(), min_size=1, max_size=8)):
        parts += [line + draw(LINE_ENDS) for line in lines]
        parts += [draw(LINE_ENDS) for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3])))]
        if parts[-2].endswith(b"\r") and parts[-1] == b"\n":
            parts[-1] = b"\n\n"  # the first LF belongs to the CR before it
    return b"".join(parts)


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """Cut a stream anywhere."""
    if draw(st.booleans()):
        size = draw(st.integers(1, 5))
        return [stream[start : start + size] for start in range(0, len(stream), size)]
    at = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]


def expected(stream: bytes) -> list[bytes]:
    """Read a stream as the standard tells a browser to: line by line, an empty line dispatches; events without data are none."""
    found, lines = [], []
    for line in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]:
        if not line:
            if lines:
                found.append(b"\n".join(lines))
            lines = []
        elif line == b"data":
            lines.append(b"")
        elif line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    return found


def seen(block: bytes) -> Iterator[bytes]:
    """Yield the data of the events of a block, as the gateway reads them."""
    for event in events(block):
        if (data := data_of(event)) is not None:
            yield data


@given(st.data())
def test_any_cut_gives_the_same_bytes_and_the_same_events_in_the_same_order(data: st.DataObject) -> None:
    stream = data.draw(streams())
    framer = Framer(2**20)
    blocks = [framer.feed(part) for part in data.draw(cut(stream))]
    assert b"".join(blocks) + framer.rest == stream
    assert framer.rest.strip(b"\r\n") == b"", "every event is complete when its last byte has come"
    assert [event for block in blocks for event in seen(block)] == expected(stream)


@given(st.data())
def test_no_event_waits_for_a_byte_that_is_not_its_own(data: st.DataObject) -> None:
    """However a stream was cut before: when the last byte of an event has come, the event has been given."""
    stream = data.draw(streams())
    end = data.draw(st.integers(1, len(stream)))
    framer = Framer(2**20)
    got = b"".join(framer.feed(part) for part in data.draw(cut(stream[:end])))
    assert list(seen(got)) == expected(stream[:end])


@given(st.data(), st.integers(10, 300))
def test_no_event_over_the_limit_is_kept(data: st.DataObject, limit: int) -> None:
    stream = data.draw(streams())
    framer = Framer(limit)
    try:
        for part in data.draw(cut(stream)):
            block = framer.feed(part)
            assert len(framer.rest) <= limit
            assert all(len(event.lstrip(b"\r\n")) <= limit for event in events(block))
    except EventTooLarge:
        assert any(len(event) > limit for event in events(stream))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("is_behind_crlf", [False, True])
def test_one_byte_at_a_time_costs_the_same_for_each_byte(
    line_end: bytes, is_behind_crlf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event of 8 MiB that trickles in: what is looked at for a byte does not grow with what has come before it."""
    looked_at = 0

    class Watched(bytearray):
        """Bytes that may not be searched from their beginning."""

        def __contains__(self, part: object) -> bool:
            nonlocal looked_at
            looked_at += len(self)
            return super().__contains__(part)  # type: ignore[operator]

    def last_boundary(data: bytes | bytearray, start: int) -> int:
        nonlocal looked_at
        looked_at += len(data) - start
        return find(data, start)

    from gateway.streaming import sse

    find = sse._last_boundary
    monkeypatch.setattr(sse, "_last_boundary", last_boundary)
    framer = Framer(8 * 2**20)
    framer._rest = Watched()
    framer.feed(b": comment" + line_end * 2 if is_behind_crlf else b"")
    framer.feed(b"data: 1" + line_end + b"data: " + b"x" * (8 * 2**20 - 100_000))
    before = looked_at
    for _ in range(50_000):
        assert framer.feed(b"x") == b""
    assert looked_at - before <= 4 * 50_000
    assert len(framer.feed(line_end * 2)) > 8 * 2**20 - 100_000
