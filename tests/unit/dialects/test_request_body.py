import msgspec
import pytest
from msgspec import Raw

from gateway.core.errors import InvalidRequest
from gateway.dialects.request_body import check_shape, is_null, join_members, read_body


class Body(msgspec.Struct):
    model: str
    items: list[Raw] = []


decode = msgspec.json.Decoder(Body).decode


@pytest.mark.parametrize(
    ("raw", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        (b"[]", None, "invalid_type"),
        (b'{"items": []}', "model", "missing_required_parameter"),
        (b'{"model": 1}', "model", "invalid_type"),
        (b'{"model": "a", "x": 1, "x": 2}', "x", "invalid_json"),
        (b'{"model": "a", "x": "\xff"}', None, "invalid_json"),
    ],
)
def test_a_body_that_readers_could_take_for_two_things_is_refused(raw: bytes, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_body(raw, decode)
    assert (caught.value.param, caught.value.error_code) == (param, code)


@pytest.mark.parametrize(
    "value",
    [
        b'"x": 1e999',
        b'"x": ' + b"[" * 200 + b"]" * 200,
        b'"items": [' + b"[" * 200 + b"]" * 200 + b"]",
        b'"items": ' + b"[" * 200 + b"]" * 200,
    ],
)
def test_odd_numbers_and_depth_are_refused_wherever_they_stand(value: bytes) -> None:
    _, fields = read_body(b'{"model": "a", %b}' % value, decode)
    with pytest.raises(InvalidRequest) as caught:
        check_shape(fields, Body.__struct_fields__, ("items",))
    assert caught.value.error_code == "invalid_json"


def test_a_bearable_shape_passes() -> None:
    _, fields = read_body(b'{"model": "a", "items": [%b], "x": 1.5}' % b",".join([b"{}"] * 500), decode)
    check_shape(fields, Body.__struct_fields__, ("items",))


def test_members_are_joined_as_they_stand() -> None:
    assert join_members({"a": Raw(b"1.0"), 'b"': b"[ ]"}) == b'{"a":1.0,"b\\"":[ ]}'
    assert is_null(None) and is_null(Raw(b"null")) and not is_null(Raw(b"0"))
