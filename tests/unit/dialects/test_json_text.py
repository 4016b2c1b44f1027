import pytest

from gateway.dialects.json_text import Pieces, template_of, unquote

EVENT = b'data: {"id":"a","choices":[{"delta":{"content":"one"}}]}\n\n'


def test_an_event_of_the_same_shape_gives_its_string_as_it_stands() -> None:
    template = template_of(EVENT, b"content")
    assert template is not None
    for string in (b'"two"', b'""', rb'"\"\n\u20ac\\"', '"€\u2028"'.encode()):
        assert template.string_of(EVENT.replace(b'"one"', string)) == string


@pytest.mark.parametrize(
    "event",
    [
        EVENT.replace(b'"a"', b'"b"'),
        EVENT.replace(b'"one"', b'"one","role":"x"'),
        EVENT.replace(b'"one"', b"null"),
        EVENT.replace(b'"one"', b'"on\ne"'),
        EVENT.replace(b'"one"', rb'"\x"'),
        EVENT.replace(b'"one"', rb'"\u12"'),
        EVENT.replace(b"}]}", b'},{"delta":{"content":"x"}}]}'),
        EVENT[:-2],
        b"data: [DONE]\n\n",
    ],
)
def test_any_other_event_is_left_to_who_reads_properly(event: bytes) -> None:
    template = template_of(EVENT, b"content")
    assert template is not None and template.string_of(event) is None


def test_a_shape_is_learned_only_where_the_member_stands_once() -> None:
    assert template_of(b'data: {"content":"a","x":{"content":"b"}}\n\n', b"content") is None
    assert template_of(b'data: {"contents":"a"}\n\n', b"content") is None
    assert template_of(b'data: {"content": ["a"]}\n\n', b"content") is None
    assert template_of(rb'data: {"text":"\"content\":\"x\"","content": "a"}' + b"\n\n", b"content") is not None


def test_pieces_make_one_string() -> None:
    pieces = Pieces()
    for piece in (rb'"{\"a"', rb'"\": "', b'"1}"'):
        assert not pieces.is_json
        pieces.add(piece)
    assert unquote(pieces.joined()) == '{"a": 1}' and pieces.is_json


def test_nothing_is_no_json_value() -> None:
    assert not Pieces().is_json
