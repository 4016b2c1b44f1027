"""Events in HTTP chunks."""

import zlib

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.framing import Fate, Step, Until, framed, pieces


def frame(steps: list[Step], fields: str = "") -> list[Step]:
    return list(framed(steps, behaviour_of("sim" + fields)))


def test_each_event_is_a_chunk_and_the_end_is_one() -> None:
    assert frame([b"ab", Until(1.0), b"c"]) == [b"2\r\nab\r\n", Until(1.0), b"1\r\nc\r\n", b"0\r\n\r\n"]


def test_events_that_are_joined_do_not_wait() -> None:
    assert frame([b"a", Until(1.0), b"b", b"c"], "-join2") == [b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"]


def test_a_fate_comes_behind_what_was_gathered_and_ends_all() -> None:
    assert frame([b"a", Fate.CUT, b"never"], "-join9") == [b"1\r\na\r\n", Fate.CUT]


def test_no_event_is_no_chunk() -> None:
    assert frame([b""]) == [b"0\r\n\r\n"]


def test_pieces_leave_by_themselves() -> None:
    assert list(pieces(b"abc", 2)) == [b"ab", Until(0.0), b"c", Until(0.0)]
    assert frame([b"abc"], "-chunk2")[:2] == [b"2\r\nab\r\n", Until(0.0)]


def test_lines_and_compression() -> None:
    assert frame([b"a\n\n"], "-crlf")[0] == b"5\r\na\r\n\r\n\r\n"
    chunks = [step for step in frame([b"a" * 99, b"b"], "-gzip") if isinstance(step, bytes)]
    packed = b"".join(chunk.partition(b"\r\n")[2][:-2] for chunk in chunks[:-1])
    assert zlib.decompress(packed, wbits=31) == b"a" * 99 + b"b"
