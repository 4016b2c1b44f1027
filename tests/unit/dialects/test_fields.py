import msgspec
import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.fields import Fields, non_null, unknown_members


def fields(text: bytes) -> Fields:
    return Fields(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))


def test_a_member_is_given_as_its_type_and_null_was_not_sent() -> None:
    found = fields(b'{"a": 1, "b": null, "c": ["x"]}')
    assert (found.get("a", int), found.get("b", int), found.get("gone", int)) == (1, None, None)
    assert found.get("c", list[str]) == ["x"]
    assert bytes(found.raw("c") or b"") == b'["x"]' and found.raw("b") is None


def test_a_wrong_type_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fields(b'{"stop": [1]}').get("stop", list[str])
    assert (caught.value.param, caught.value.error_code) == ("stop[0]", "invalid_type")


def test_others_are_what_is_neither_known_nor_null_nor_what_holds_anyway() -> None:
    found = fields(b'{"a": 1, "b": null, "c": false, "d": true, "e": 2}')
    assert list(found.unknown({"a"}, {"c": False, "d": False})) == ["d", "e"]


def test_a_value_that_can_not_be_read_is_not_the_one_that_holds_anyway() -> None:
    assert list(fields(b'{"a": [{"b": 1e999}]}').unknown(set(), {"a": False})) == ["a"]


def test_strangers_in_an_object_count_only_where_they_hold_something() -> None:
    raw = msgspec.Raw(b'{"role": "x", "annotations": [], "audio": null, "odd": 0, "flag": false, "text": ""}')
    assert list(unknown_members(raw, {"role"}, "messages[1]")) == ["messages[1].odd"]


def test_null_says_nothing() -> None:
    assert non_null(msgspec.Raw(b"null")) is None
    assert non_null(msgspec.Raw(b"{}")) is not None
