"""Names that stand twice, depth, and numbers that are none, in JSON that is valid."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.dialects import json_shape
from gateway.dialects.json_shape import DuplicateName, is_odd_number, is_too_deep, read_members

TRAPS = ["{", "}", "[", "]", '"', "\\", '\\"', '"{', "\\\\", "a"]
VALUES = st.recursive(
    st.one_of(st.integers(), st.none(), st.lists(st.sampled_from(TRAPS)).map("".join)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.sampled_from(TRAPS), inner)),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, 8), st.booleans())
def test_depth_is_told_as_a_reader_would(value: Any, limit: int, is_padded: bool) -> None:
    text = json.dumps([value, "{[" * 5000] if is_padded else value)
    deep = depth_of(value) + is_padded > limit
    assert is_too_deep(Raw(text.encode()), limit) is deep


def test_what_is_known_to_be_text_is_not_looked_at() -> None:
    value = Raw(b'["' + b"[" * 100_000 + b'"]')
    assert not is_too_deep(value, 5)
    assert not is_too_deep(value, 5, text=100_000)
    assert is_too_deep(Raw(b"[" * 6 + b"]" * 6), 5)


@pytest.mark.parametrize("part", [b"[],", b'"",'])
def test_too_much_to_look_through_counts_as_too_deep(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    value = Raw(b"[" + part * 200 + b"1]" if part != b'"",' else b"[" + part * 200 + b"{}," * 20 + b"1]")
    assert not is_too_deep(value, 10)
    monkeypatch.setattr(json_shape, "MAX_VALUES", 99)
    assert is_too_deep(value, 10)


def test_members_come_in_their_order_as_they_stand() -> None:
    members = read_members(b'{ "b" : 1.50 , "a":[ ] }')
    assert [(name, bytes(value)) for name, value in members.items()] == [("b", b"1.50"), ("a", b"[ ]")]
    assert all(type(name) is str for name in members)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":1,"b":2,"\\u0061":{}}', "a"),
        (b'{"":1,"":2}', ""),
        ('{"é":1,"\\u00e9":2}'.encode(), "é"),
        (b'{"b":1,"a":2,"a":3,"b":4}', "a"),
    ],
)
def test_a_name_that_stands_twice_is_named(text: bytes, name: str) -> None:
    with pytest.raises(DuplicateName) as caught:
        read_members(text)
    assert caught.value.args == (name,)


@pytest.mark.parametrize("text", [b"[]", b"1", b'{"a"}', b""])
def test_what_is_no_object_has_no_members(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_members(text)


@pytest.mark.parametrize(
    ("text", "is_odd"),
    [
        (b"1", False),
        (b"-0.5e-400", False),
        (b"1e308", False),
        (b"1e309", True),
        (b"-1e999", True),
        (b"9" * 300, False),
        (b"9" * 400, True),
        (b"0." + b"1" * 4299, True),
        (b'"1e999"', False),
        (b"null", False),
        (b"[1e999]", False),
    ],
)
def test_numbers_beyond_a_double_are_odd(text: bytes, is_odd: bool) -> None:
    assert is_odd_number(Raw(text)) is is_odd
