"""Parts that several dialects write in the same way."""

import pytest

from gateway.core.conversation import Document, Image, Refusal, Text
from gateway.core.errors import InvalidRequest
from gateway.dialects.parts_in import document_in, image_at, missing, only_text


def test_an_image_stands_at_a_url_or_in_a_data_url() -> None:
    assert image_at("https://x/a.png", "low", "p") == Image(url="https://x/a.png", detail="low")
    assert image_at("data:image/png;base64,AA==", None, "p") == Image(data="AA==", media_type="image/png")


def test_a_data_url_without_base64_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        image_at("data:,x", None, "messages[0].content[1]")
    assert (refused.value.param, refused.value.error_code) == ("messages[0].content[1]", "invalid_value")


def test_a_document_is_read_from_a_data_url_only() -> None:
    assert document_in("data:;base64,AA==", "t") == Document(data="AA==", title="t")
    assert document_in("https://x/a.pdf", "t") is None


def test_a_system_prompt_holds_only_text() -> None:
    assert list(only_text([Text("a"), Text("b")], "p")) == [Text("a"), Text("b")]
    with pytest.raises(InvalidRequest, match="only text"):
        list(only_text([Refusal("no")], "p"))


def test_a_missing_member_is_named() -> None:
    error = missing("input[0].call_id")
    assert (error.param, error.error_code) == ("input[0].call_id", "missing_required_parameter")
