"""What every dialect's requests have in common."""

from typing import Any

import msgspec
import pytest

from gateway.simulator.request import BadRequest, decode_body, stops_of, texts_of, words_of

PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "two words"},
    {"type": "input_text", "text": "three"},
    {"type": "image_url", "image_url": {"url": "http://h/a.png"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "input_image", "image_url": "http://h/b.png"},
    {"type": "image", "source": {"type": "url", "url": "http://h/c.png"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": [{"type": "text", "text": "4 "}, {"type": "text", "text": "5"}],
    },
    {"type": "thinking", "thinking": "nobody hears this"},
]


def test_words_are_counted_in_all_texts() -> None:
    assert words_of("one  two\nthree") == 3
    assert words_of(PARTS) == 5
    assert words_of([{"type": "function_call_output", "output": "six seven"}]) == 2
    assert words_of(None) == words_of([3, None]) == 0


def test_what_is_heard_is_the_same_in_every_dialect() -> None:
    assert texts_of("plain") == ("plain",)
    assert texts_of(PARTS) == (
        "two words",
        "three",
        "[image http://h/a.png]",
        "[image image/png 4]",
        "[image http://h/b.png]",
        "[image http://h/c.png]",
        "[image image/png 4]",
        "4 5",
    )
    assert texts_of(None) == texts_of([3, {"type": "image"}]) == ()


def test_stops_are_one_or_many() -> None:
    assert (stops_of("a"), stops_of(["a", "b"]), stops_of(None)) == (("a",), ("a", "b"), ())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "\xff"}', b"[" * 100_000])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="the body is not a valid object"):
        decode_body(body, msgspec.json.Decoder(dict[str, Any]), "object")
