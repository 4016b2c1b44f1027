"""Thoughts that their maker has sealed, carried through a dialect of another maker and back.

A reasoning item of OpenAI's has an id and `encrypted_content`; elsewhere both travel in the one word that seals a thought.
Seals of others travel in `encrypted_content`, marked, so that neither maker gets what only the other can open.
"""

from collections.abc import Iterable
from typing import Any, Final

from gateway.core.conversation import Thinking

BETWEEN: Final = "\n\n"  # paragraphs of a summary

_OURS: Final = "openai-responses:"  # then the item's id, a colon, and what is encrypted
_SIGNED: Final = "gateway-signature:"  # then another maker's signature of the summary
_HIDDEN: Final = "gateway-data:"  # then another maker's thought that nobody else may read


def write_reasoning(thinking: Thinking, item_id: str) -> dict[str, Any]:
    """Give thoughts as an item for a client, who returns it as it is."""
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": _summary(thinking.text)}
    return item | {"encrypted_content": sealed(thinking.signature, thinking.data)}


def sealed(signature: str, data: str) -> str | None:
    """Give what a client keeps as `encrypted_content` of another maker's thoughts."""
    if data:
        return _HIDDEN + data
    return _SIGNED + signature if signature else None


def read_reasoning(summary: Iterable[str], encrypted: str | None) -> Thinking:
    """Give the thoughts in an item that a client sends back; what OpenAI has sealed stays behind: no other can open it."""
    text = BETWEEN.join(summary)
    if encrypted is not None and encrypted.startswith(_SIGNED):
        return Thinking(text, encrypted.removeprefix(_SIGNED))
    if encrypted is not None and encrypted.startswith(_HIDDEN):
        return Thinking(data=encrypted.removeprefix(_HIDDEN))
    return Thinking(text)


def seal_of(item_id: str, encrypted: str) -> str:
    """Give the one word that a provider's item is sealed with."""
    return f"{_OURS}{item_id}:{encrypted}"


def take_item(item_id: str, text: str, encrypted: str | None) -> Thinking | None:
    """Give the thoughts in a provider's item; None where it holds nothing that anybody could use."""
    if not encrypted:
        return Thinking(text) if text else None
    seal = seal_of(item_id, encrypted)
    return Thinking(text, seal) if text else Thinking(data=seal)


def give_back(thinking: Thinking) -> dict[str, Any] | None:
    """Give a provider its own item back; None for thoughts that are not its own."""
    seal = thinking.signature or thinking.data
    if not seal.startswith(_OURS):
        return None
    item_id, _, encrypted = seal.removeprefix(_OURS).partition(":")
    summary = _summary(thinking.text)
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": encrypted}


def _summary(text: str) -> list[dict[str, str]]:
    return [{"type": "summary_text", "text": text}] if text else []
