"""Thoughts that their maker has sealed, carried through a dialect of another maker and back.

A reasoning item of OpenAI's has an id and `encrypted_content`; elsewhere both travel in the one word that seals a thought.
Seals of others travel in `encrypted_content`, marked, so that neither maker gets what only the other can open.
"""

from collections.abc import Iterable
from typing import Any, Final

from gateway.core.conversation import Thinking

PARAGRAPH_BREAK: Final = "\n\n"  # paragraphs of a summary

_OPENAI: Final = "openai-responses:"  # then the item's id, a colon, and what is encrypted
_SIGNATURE: Final = "gateway-signature:"  # then another maker's signature of the summary
_DATA: Final = "gateway-data:"  # then another maker's thought that nobody else may read


def write_reasoning(thinking: Thinking, item_id: str) -> dict[str, Any]:
    """Give thoughts as an item for a client, who returns it as it is."""
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": _summary(thinking.text)}
    return item | {"encrypted_content": encrypted_content_of(thinking.signature, thinking.data)}


def encrypted_content_of(signature: str, data: str) -> str | None:
    """Give what a client keeps as `encrypted_content` of another maker's thoughts."""
    if data:
        return _DATA + data
    return _SIGNATURE + signature if signature else None


def read_reasoning(summary: Iterable[str], encrypted: str | None) -> Thinking:
    """Give the thoughts in an item that a client sends back; what OpenAI has sealed stays behind: no other can open it."""
    text = PARAGRAPH_BREAK.join(summary)
    if encrypted is not None and encrypted.startswith(_SIGNATURE):
        return Thinking(text, encrypted.removeprefix(_SIGNATURE))
    if encrypted is not None and encrypted.startswith(_DATA):
        return Thinking(data=encrypted.removeprefix(_DATA))
    return Thinking(text)


def signature_of_item(item_id: str, encrypted: str) -> str:
    """Give the one word that a provider's item is sealed with."""
    return f"{_OPENAI}{item_id}:{encrypted}"


def thinking_of_item(item_id: str, text: str, encrypted: str | None) -> Thinking | None:
    """Give the thoughts in a provider's item; None where it holds nothing that anybody could use."""
    if not encrypted:
        return Thinking(text) if text else None
    signature = signature_of_item(item_id, encrypted)
    return Thinking(text, signature) if text else Thinking(data=signature)


def own_item(thinking: Thinking) -> dict[str, Any] | None:
    """Give a provider its own item back; None for thoughts that are not its own."""
    signature = thinking.signature or thinking.data
    if not signature.startswith(_OPENAI):
        return None
    item_id, _, encrypted = signature.removeprefix(_OPENAI).partition(":")
    summary = _summary(thinking.text)
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": encrypted}


def _summary(text: str) -> list[dict[str, str]]:
    return [{"type": "summary_text", "text": text}] if text else []
