"""Lists of models in pages."""

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.anthropic_messages.model_list import entry, page

ENTRIES = [entry(name, None, None) for name in "abcde"]


@pytest.mark.parametrize(
    ("query", "shown", "has_more"),
    [
        ({}, "abcde", False),
        ({"limit": "5"}, "abcde", False),
        ({"limit": "2"}, "ab", True),
        ({"limit": "2", "after_id": "b"}, "cd", True),
        ({"limit": "2", "after_id": "c"}, "de", False),
        ({"after_id": "e"}, "", False),
        ({"limit": "2", "before_id": "e"}, "cd", True),
        ({"limit": "2", "before_id": "c"}, "ab", False),
        ({"before_id": "a"}, "", False),
    ],
)
def test_a_page_is_the_part_that_was_asked_for(query: dict[str, str], shown: str, has_more: bool) -> None:
    found = page(ENTRIES, query)
    assert "".join(one["id"] for one in found["data"]) == shown
    assert found["has_more"] is has_more
    assert (found["first_id"], found["last_id"]) == ((shown[0], shown[-1]) if shown else (None, None))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"after_id": "x"}, "after_id"),
        ({"before_id": "x"}, "before_id"),
    ],
)
def test_what_makes_no_page_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        page(ENTRIES, query)
    assert raised.value.param == param


def test_an_entry_says_what_is_known() -> None:
    found = entry("m", 128_000, 4096)
    assert (found["id"], found["max_input_tokens"], found["max_tokens"]) == ("m", 128_000, 4096)
    assert not {"max_input_tokens", "max_tokens"} & entry("m", None, None).keys()
