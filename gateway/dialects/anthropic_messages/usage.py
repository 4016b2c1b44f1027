"""How Anthropic counts tokens: what is read from and written to the cache stands beside the input, not in it."""

from typing import Any

import msgspec

from gateway.core import usage as core_usage
from gateway.core.usage import bounded_tokens


class _CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class Usage(msgspec.Struct):
    """The member `usage` of a message, or of what a stream says at its beginning and its end."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


def read_usage(usage: Usage | None, before: core_usage.Usage | None = None) -> core_usage.Usage | None:
    """Give usage in disjoint classes; what it does not say holds as `before`. None where nothing is known."""
    if usage is None:
        return before
    known = before or core_usage.Usage()
    if before is None and usage.input_tokens is None and usage.output_tokens is None:
        return None
    written, kept = known.cache_write + known.cache_write_1h, known.cache_write_1h
    if usage.cache_creation_input_tokens is not None:
        written = bounded_tokens(usage.cache_creation_input_tokens)
    if usage.cache_creation is not None:
        kept = bounded_tokens(usage.cache_creation.ephemeral_1h_input_tokens)
    kept = min(kept, written)
    output = known.total_output if usage.output_tokens is None else bounded_tokens(usage.output_tokens)
    thinking = known.reasoning
    if usage.output_tokens_details is not None:
        thinking = bounded_tokens(usage.output_tokens_details.thinking_tokens)
    thinking = min(thinking, output)
    read = usage.cache_read_input_tokens
    return core_usage.Usage(
        input=known.input if usage.input_tokens is None else bounded_tokens(usage.input_tokens),
        cached_input=known.cached_input if read is None else bounded_tokens(read),
        cache_write=written - kept,
        cache_write_1h=kept,
        output=output - thinking,
        reasoning=thinking,
    )


def write_usage(usage: core_usage.Usage) -> dict[str, Any]:
    """Give usage as a client of Anthropic's expects it. Sound has no class of its own there."""
    shape: dict[str, Any] = {
        "input_tokens": usage.input + usage.audio_in,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.total_output,
    }
    if usage.reasoning:
        shape["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return shape
