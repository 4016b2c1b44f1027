import json

import pytest

from gateway.dialects.openai_responses.deltas import delta_template_of

HEAD = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'


def delta(
    text: str, number: int | None = 1, padding: str | None = "ab", item: str = "m", end: bytes = b"\n\n"
) -> bytes:
    """Return an event with its members in OpenAI's order."""
    stated = json.dumps(text).encode()
    numbered = b"" if number is None else b'"sequence_number":%d,' % number
    padded = b"" if padding is None else b',"obfuscation":"%b"' % padding.encode()
    return HEAD + numbered + b'"item_id":"%b","delta":%b,"logprobs":[]%b}%b' % (item.encode(), stated, padded, end)


@pytest.mark.parametrize(
    "text", ["a", "", '"', "\\", "\u2028", '"delta":"x"', '"sequence_number":5,', '"obfuscation":"']
)
@pytest.mark.parametrize("padding", ["", "xyz", None])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_the_string_is_found_whatever_the_number_and_the_padding(text: str, padding: str | None, end: bytes) -> None:
    shape = delta_template_of(delta("first", 9, padding, end=end))
    assert shape is not None
    longer = None if padding is None else padding + "more"
    assert shape.string_of(delta(text, 10, longer, end=end)) == json.dumps(text).encode()


def test_an_event_without_a_number_is_compared_whole() -> None:
    shape = delta_template_of(delta("a", None, None))
    assert shape is not None and shape.string_of(delta("b", None, None)) == b'"b"'
    assert shape.string_of(delta("b", None, None, "other")) is None


@pytest.mark.parametrize(
    "other",
    [
        delta("b", item="other"),
        delta("b", padding=None),
        delta("b").replace(b"[]", b'[{"token":"b"}]'),
        delta("b").replace(b":1,", b":x,"),
        delta("b").replace(b'"b"', b"null"),
        delta("b").replace(b'"ab"', b'"ab","usage":{}'),
        delta("b").replace(b'"ab"', b'"a\\"b"'),
        b"",
        b": comment\n\n",
    ],
)
def test_an_event_that_differs_in_anything_else_is_read_in_full(other: bytes) -> None:
    shape = delta_template_of(delta("a"))
    assert shape is not None and shape.string_of(other) is None


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"type":"x","delta":"a","sequence_number":5,"b":1}\n\n',
        b'data: {"type":"x","sequence_number":5,"sequence_number":6,"delta":"a"}\n\n',
        b'data: {"type":"x","sequence_number":5,"delta":"a","c":{"delta":"b"}}\n\n',
        b'data: {"type":"x","sequence_number":5,"delta":null}\n\n',
        b'data: {"type":"x","sequence_number":5,"other":"a"}\n\n',
    ],
)
def test_an_order_that_is_not_known_has_no_shape(event: bytes) -> None:
    assert delta_template_of(event) is None


def test_spaces_behind_colons_are_part_of_the_shape() -> None:
    event = b'data: {"sequence_number": %d, "delta": "%b", "obfuscation": "x"}\n\n'
    shape = delta_template_of(event % (1, b"a"))
    assert shape is not None and shape.string_of(event % (20, b"b")) == b'"b"'
