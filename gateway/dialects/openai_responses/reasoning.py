"""Encrypted or signed reasoning, carried through the dialect of another provider and back unchanged.

OpenAI's reasoning item has an id and `encrypted_content`; in other dialects both travel in the one signature of a thinking block.
Signatures of other providers travel in `encrypted_content`, with a prefix, so that no provider receives data that only another
one can read.
"""

from collections.abc import Iterable
from typing import Any, Final

from gateway.core.conversation import Thinking

PARAGRAPH_BREAK: Final = "\n\n"  # paragraphs of a summary

_OPENAI: Final = "openai-responses:"  # then the item's id, a colon, and the encrypted content
_SIGNATURE: Final = "gateway-signature:"  # then another provider's signature of the summary
_DATA: Final = "gateway-data:"  # then another provider's redacted thinking


def write_reasoning(thinking: Thinking, item_id: str) -> dict[str, Any]:
    """Return thinking as an item for a client, which sends it back unchanged."""
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": _summary(thinking.text)}
    return item | {"encrypted_content": encrypted_content_of(thinking.signature, thinking.data)}


def encrypted_content_of(signature: str, data: str) -> str | None:
    """Return the `encrypted_content` that carries another provider's signature or data; None without either."""
    if data:
        return _DATA + data
    return _SIGNATURE + signature if signature else None


def read_reasoning(summary: Iterable[str], encrypted: str | None) -> Thinking:
    """Return the thinking in an item that a client sends back, without content encrypted by OpenAI: no other can read it."""
    text = PARAGRAPH_BREAK.join(summary)
    if encrypted is not None and encrypted.startswith(_SIGNATURE):
        return Thinking(text, encrypted.removeprefix(_SIGNATURE))
    if encrypted is not None and encrypted.startswith(_DATA):
        return Thinking(data=encrypted.removeprefix(_DATA))
    return Thinking(text)


def signature_of_item(item_id: str, encrypted: str) -> str:
    """Return the signature that carries the id and the encrypted content of a provider's item."""
    return f"{_OPENAI}{item_id}:{encrypted}"


def thinking_of_item(item_id: str, text: str, encrypted: str | None) -> Thinking | None:
    """Return the thinking in a provider's item; None if the item holds neither text nor encrypted content."""
    if not encrypted:
        return Thinking(text) if text else None
    signature = signature_of_item(item_id, encrypted)
    return Thinking(text, signature) if text else Thinking(data=signature)


def own_item(thinking: Thinking) -> dict[str, Any] | None:
    """Return OpenAI's own item from thinking that carries one; None for any other thinking."""
    signature = thinking.signature or thinking.data
    if not signature.startswith(_OPENAI):
        return None
    item_id, _, encrypted = signature.removeprefix(_OPENAI).partition(":")
    summary = _summary(thinking.text)
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": encrypted}


def _summary(text: str) -> list[dict[str, str]]:
    return [{"type": "summary_text", "text": text}] if text else []
