"""Several requests for embeddings as one call, and its answer split again: every request gets its own vectors.

Requests can be joined if all members but the inputs are equal (`batch_key`). Vectors are never parsed: their bytes are copied,
and only `index` is renumbered for each request.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.openai_chat.usage import write_usage
from gateway.dialects.openai_embeddings.answer import read_answer
from gateway.dialects.openai_embeddings.request_in import inputs_of
from gateway.dialects.request_body import join_members

_LIST: Final = b"["
_CLASSES: Final = ("input", "cached_input", "cache_write", "output", "reasoning", "audio_in", "audio_out")
"""The classes of `Usage` that OpenAI's usage distinguishes."""


class _Place(msgspec.Struct):
    index: int | None = None


_decode_answer = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_places = msgspec.json.Decoder(list[_Place]).decode


def count_inputs(request: ChatRequest) -> int:
    """Return the number of vectors that a request asks for."""
    return len(inputs_of(request.fields["input"]))


def batch_key(request: ChatRequest) -> bytes:
    """Return the key that requests of one call have in common: all members but the inputs, and the type of the inputs."""
    kind = b"tokens" if _is_tokens(request) else b"texts"
    others = {name: request.fields[name] for name in sorted(request.fields) if name != "input"}
    return kind + join_members(others)


def join(requests: Sequence[ChatRequest], model: str) -> bytes:
    """Return one body for requests of one `batch_key`: their inputs in order."""
    inputs = [item for request in requests for item in inputs_of(request.fields["input"])]
    members: dict[str, bytes | Raw] = {**requests[0].fields}
    members |= {"model": msgspec.json.encode(model), "input": b"[%b]" % b",".join(map(bytes, inputs))}
    return join_members(members)


def split(body: bytes, requests: Sequence[ChatRequest]) -> list[tuple[bytes, Usage | None]]:
    """Return each request's part of the joint answer: its body, and its share of the usage.

    Raises `ProtocolError` if the answer does not hold one vector for each input, `Unavailable` if it is an error.
    """
    usage = read_answer(body)
    answer = _decode_answer(body)
    items = _in_order(answer["data"])
    sizes = [count_inputs(request) for request in requests]
    if len(items) != sum(sizes):
        raise ProtocolError(f"the provider's answer holds {len(items)} embeddings where {sum(sizes)} are due")
    shares = _shares(usage, requests)
    parts, at = [], 0
    for size, share in zip(sizes, shares, strict=True):
        parts.append((_part(answer, items[at : at + size], share), share))
        at += size
    return parts


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Return integer shares of `total` by weight that add up to it exactly.

    Method of largest remainders (Hamilton): the largest remainders get what rounding leaves, the first among equals. Weights are
    positive.
    """
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(total * weights[place] % whole))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


def _is_tokens(request: ChatRequest) -> bool:
    """Return whether the inputs are lists of tokens, so that their number is known and not estimated."""
    return bytes(memoryview(inputs_of(request.fields["input"])[0])[:1]) == _LIST


def _in_order(data: Raw) -> list[dict[str, Raw]]:
    """Return the items of an answer by their `index`, or in the given order if the provider writes none."""
    try:
        items, places = _decode_items(data), [place.index for place in _decode_places(data)]
    except msgspec.ValidationError:
        raise ProtocolError("the provider's answer holds no embeddings") from None
    if all(index is None for index in places):
        return items
    by_index = dict(zip(places, items, strict=True))
    if by_index.keys() != set(range(len(items))):
        raise ProtocolError("the provider's answer lacks or repeats the index of an embedding")
    return [by_index[index] for index in range(len(items))]


def _shares(usage: Usage | None, requests: Sequence[ChatRequest]) -> list[Usage | None]:
    """Divide usage by the tokens of each request, class by class.

    A share is an estimate, unless every request gets exactly its own number of tokens.
    """
    if usage is None:
        return [None] * len(requests)
    weights = [request.tokens for request in requests]
    columns = [divide(getattr(usage, name), weights) for name in _CLASSES]
    rows = [dict(zip(_CLASSES, row, strict=True)) for row in zip(*columns, strict=True)]
    is_exact = [row["input"] for row in rows] == weights and all(map(_is_tokens, requests))
    return [Usage(**row, is_estimated=not is_exact) for row in rows]


def _part(answer: Mapping[str, Raw], items: Sequence[Mapping[str, Raw]], share: Usage | None) -> bytes:
    own = [join_members({**item, "index": b"%d" % index}) for index, item in enumerate(items)]
    members: dict[str, bytes | Raw] = {**answer, "data": b"[%b]" % b",".join(own)}
    if share is not None:
        written = write_usage(share)
        members["usage"] = msgspec.json.encode({name: written[name] for name in ("prompt_tokens", "total_tokens")})
    return join_members(members)
