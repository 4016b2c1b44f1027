"""Reasoning of one provider, carried through the dialect of another."""

from gateway.core.conversation import (
    Thinking,
)
from gateway.dialects.openai_responses.reasoning import encrypted_content_of, own_item, read_reasoning, thinking_of_item


def test_seals_come_back_to_who_made_them_and_to_nobody_else() -> None:
    ours = thinking_of_item("rs_1", "hm", "gAAA")
    assert ours is not None and own_item(ours) == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAAA",
    }
    hidden = thinking_of_item("rs_1", "", "g:A")
    assert hidden is not None and hidden.data and not hidden.text
    assert (own_item(hidden) or {})["encrypted_content"] == "g:A"
    assert own_item(Thinking("hm", "sig")) is None and own_item(Thinking("hm")) is None
    assert thinking_of_item("rs_1", "", None) is None and thinking_of_item("rs_1", "hm", None) == Thinking("hm")
    assert read_reasoning(["a", "b"], encrypted_content_of("sig", "")) == Thinking("a\n\nb", "sig")
    assert read_reasoning([], encrypted_content_of("", "xyz")) == Thinking(data="xyz")
    assert read_reasoning(["a"], "gAAA of OpenAI's") == Thinking("a") and encrypted_content_of("", "") is None
