"""The affinity of a request, which keeps it together with others: its conversation, its tenant, or a header.

The id of a conversation is the one that the client sends, in a header or in a field of the request. Otherwise it is a hash of
the tenant, the system prompt and the first user turn, which every later request of the conversation repeats.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.exchange import Exchange

ID_HEADER: Final = "x-conversation-id"
MAX_HASHED_BYTES: Final = 2**20  # of one text; its length is hashed too
MAX_ID_CHARS: Final = 512  # of an id; the rest is ignored

_ID_FIELDS: Final = ("prompt_cache_key", "conversation", "previous_response_id")
_METADATA_ID_FIELDS: Final = ("conversation_id", "session_id", "user_id")
_SYSTEM_FIELDS: Final = ("system", "instructions")


class _Turn(msgspec.Struct):
    role: str = ""


_decode_turns = msgspec.json.Decoder(list[Raw]).decode
_decode_turn = msgspec.json.Decoder(_Turn).decode
_decode_metadata = msgspec.json.Decoder(dict[str, Raw]).decode


def affinity(exchange: Exchange, by: str) -> str:
    """Return the affinity of a request; `by`: conversation, tenant or `header:` and a name. "" if the header is missing.

    Affinities of different tenants never collide.
    """
    tenant = exchange.principal.tenant
    if by == "tenant":
        return tenant
    if by.startswith("header:"):
        value = exchange.headers.get(by.removeprefix("header:"), "")[:MAX_ID_CHARS]
        return f"{tenant}\0{value}" if value else ""  # neither part can contain a NUL
    return conversation(exchange)


def conversation(exchange: Exchange) -> str:
    """Return the id of the request's conversation. Ids of different tenants never collide."""
    request = exchange.request
    assert request is not None
    explicit = exchange.headers.get(ID_HEADER) or _explicit_id(request.fields)
    parts: Iterable[bytes] = (
        [explicit[:MAX_ID_CHARS].encode(errors="surrogatepass")] if explicit else _first_turns(request.fields)
    )
    digest = blake2b(exchange.principal.tenant.encode(), digest_size=16)
    for part in parts:
        digest.update(b"\0%d\0" % len(part))
        digest.update(part[:MAX_HASHED_BYTES])
    return digest.hexdigest()


def _explicit_id(fields: Mapping[str, Raw]) -> str:
    """Return the conversation id in a request's body, "" without one."""
    for name in _ID_FIELDS:
        if name in fields and (text := _text(fields[name])):
            return text
    if "metadata" in fields:
        try:
            metadata = _decode_metadata(fields["metadata"])
        except msgspec.DecodeError:
            return ""
        return next((text for name in _METADATA_ID_FIELDS if name in metadata and (text := _text(metadata[name]))), "")
    return ""


def _text(value: Raw) -> str:
    try:
        return msgspec.json.decode(value, type=str)
    except msgspec.DecodeError:
        return ""


def _first_turns(fields: Mapping[str, Raw]) -> list[bytes]:
    """Return the system prompt and the turns up to the first user turn, as they stand in the body."""
    parts = [bytes(fields[name]) for name in _SYSTEM_FIELDS if name in fields]
    turns = fields.get("messages", fields.get("input"))
    if turns is None:
        return parts
    try:
        for turn in _decode_turns(turns):
            parts.append(bytes(turn))
            if _decode_turn(turn).role == "user":
                break
    except msgspec.DecodeError:  # a plain string instead of a list of turns
        parts.append(bytes(turns))
    return parts
