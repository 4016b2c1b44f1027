"""The name of a request."""

import pytest

from gateway.api.request_id import RequestIds


@pytest.mark.parametrize("given", ["a", "req-1.2:3/4+5=6", "0" * 128, "550e8400-e29b-41d4-a716-446655440000"])
def test_a_decent_id_is_kept(given: str) -> None:
    assert RequestIds().of({"x-request-id": given}) == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "a\nb", "a\r\nx: y", "é", "0" * 129, "<script>", 'a"b', "a\x00", "a\n"]
)
def test_any_other_is_replaced(given: str) -> None:
    assert RequestIds().of({"x-request-id": given}).startswith("req-")


def test_ids_of_ours_are_never_the_same_twice() -> None:
    one, other = RequestIds(), RequestIds()
    ids = [ids.of({}) for ids in (one, other) for _ in range(100)]
    assert len(set(ids)) == 200
