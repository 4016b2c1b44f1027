import pytest

from gateway.streaming.sse import EventTooLarge, Framer, count_events, data_of, event_around, events


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\n\r", b"\r\r\n"])
def test_an_empty_line_of_any_kind_ends_an_event(end: bytes) -> None:
    framer = Framer(100)
    assert framer.feed(b"data: 1" + end + b"data: 2") == b"data: 1" + end
    assert framer.rest == b"data: 2"
    assert framer.feed(end) == b"data: 2" + end
    assert framer.rest == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_one_line_end_ends_no_event(end: bytes) -> None:
    framer = Framer(100)
    assert framer.feed(b"data: 1" + end) == b""
    assert framer.feed(b"data: 2" + end) == b""
    assert framer.rest == b"data: 1" + end + b"data: 2" + end


def test_whole_events_pass_as_the_very_bytes_that_came() -> None:
    data = b"data: 1\n\n: comment\n\ndata: 2\n\n"
    assert Framer(100).feed(data) is data


def test_a_crlf_that_is_cut_in_two_counts_as_one_line_end() -> None:
    framer = Framer(100)
    assert framer.feed(b"data: 1\r") == b""
    assert framer.feed(b"\ndata: 2\r") == b""
    assert framer.feed(b"\n") == b""
    assert framer.feed(b"\r\n") == b"data: 1\r\ndata: 2\r\n\r\n"


def test_an_event_that_a_cr_ends_does_not_wait_for_the_next_byte() -> None:
    framer = Framer(100)
    assert framer.feed(b"data: 1\r\n\r") == b"data: 1\r\n\r"
    assert framer.feed(b"\ndata: 2\r\n\r\n") == b"\ndata: 2\r\n\r\n"
    assert [data_of(event) for event in events(b"\ndata: 2\r\n\r\n")] == [b"2"]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_unfinished_event_may_grow_to_the_limit_and_no_further(size: int) -> None:
    framer = Framer(100)
    data = b"data: " + b"x" * 94
    for start in range(0, 100, size):
        assert framer.feed(data[start : start + size]) == b""
    with pytest.raises(EventTooLarge):
        framer.feed(b"x")


def test_the_limit_is_for_one_event_not_for_the_stream() -> None:
    framer = Framer(100)
    for _ in range(50):
        assert framer.feed(b"data: " + b"x" * 80)[-1:] == b""
        assert framer.feed(b"\n\ndata: ") == b"data: " + b"x" * 80 + b"\n\n"
        assert framer.feed(b"y\n\n") == b"data: y\n\n"


@pytest.mark.parametrize("size", [1, 64, 50, 10_000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_an_event_over_the_limit_is_refused_however_it_arrives(size: int, end: bytes) -> None:
    fits, too_long = b"data: " + b"x" * (94 - len(end)) + end, b"data: " + b"x" * (96 - len(end)) + end
    framer = Framer(100)
    stream = fits * 20
    got = b"".join(framer.feed(stream[start : start + size]) for start in range(0, len(stream), size))
    assert got + framer.rest == stream  # the last LF may be one that was cut off its CR
    stream = fits * 20 + too_long + fits * 20
    with pytest.raises(EventTooLarge):
        for start in range(0, len(stream), size):
            framer.feed(stream[start : start + size])


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: 1\n\n", b"1"),
        (b"data:1\n\n", b"1"),
        (b"data:  1\n\n", b" 1"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: 1\ndata: 2\n\n", b"1\n2"),
        (b"data: 1\r\ndata\rdata: 2\r\n\r\n", b"1\n\n2"),
        (b"event: message\ndata: 1\nid: 7\n\n", b"1"),
        (b": comment\n\n", None),
        (b"event: ping\n\n", None),
        (b"database: 1\n\n", None),
        (b"data: 1", b"1"),
        ("data: a\u2028b\u0085c\n\n".encode(), "a\u2028b\u0085c".encode()),
        (b"data: a\x0bb\x0cc\x1cd\n\n", b"a\x0bb\x0cc\x1cd"),
        (b"\ndata: 1\n\n", b"1"),
    ],
)
def test_the_data_of_an_event_are_its_data_lines(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_block_falls_into_its_events_without_loss(end: bytes) -> None:
    parts = [b"data: 1" + end * 2, b": comment" + end * 2, b"event: x" + end + b"data: 2" + end * 2]
    block = b"".join(parts)
    assert list(events(block)) == parts
    start = 0
    for part in parts:
        for index in range(start, start + len(part.rstrip())):
            assert event_around(block, index) == (start, start + len(part))
        start += len(part)


def test_data_lines_are_counted_and_comments_are_not() -> None:
    assert count_events(b"data: 1\n\n: data: x\n\nevent: e\ndata: 2\n\n") == 2
    assert count_events(b": \n\n") == 0
