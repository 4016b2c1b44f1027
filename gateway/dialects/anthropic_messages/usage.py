"""Anthropic's token counts: cache reads and writes are not included in the input."""

from typing import Any

import msgspec

from gateway.core import usage as core_usage
from gateway.core.usage import bounded_tokens


class _CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class Usage(msgspec.Struct):
    """The member `usage` of a message, or of the first and last events of a stream."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


def read_usage(usage: Usage | None, previous_usage: core_usage.Usage | None = None) -> core_usage.Usage | None:
    """Return usage in disjoint classes; classes that it lacks keep their `previous_usage`. None if nothing is known."""
    if usage is None:
        return previous_usage
    previous = previous_usage or core_usage.Usage()
    if previous_usage is None and usage.input_tokens is None and usage.output_tokens is None:
        return None
    written, written_1h = previous.cache_write + previous.cache_write_1h, previous.cache_write_1h
    if usage.cache_creation_input_tokens is not None:
        written = bounded_tokens(usage.cache_creation_input_tokens)
    if usage.cache_creation is not None:
        written_1h = bounded_tokens(usage.cache_creation.ephemeral_1h_input_tokens)
    written_1h = min(written_1h, written)
    output = previous.total_output if usage.output_tokens is None else bounded_tokens(usage.output_tokens)
    thinking = previous.reasoning
    if usage.output_tokens_details is not None:
        thinking = bounded_tokens(usage.output_tokens_details.thinking_tokens)
    thinking = min(thinking, output)
    read = usage.cache_read_input_tokens
    return core_usage.Usage(
        input=previous.input if usage.input_tokens is None else bounded_tokens(usage.input_tokens),
        cached_input=previous.cached_input if read is None else bounded_tokens(read),
        cache_write=written - written_1h,
        cache_write_1h=written_1h,
        output=output - thinking,
        reasoning=thinking,
    )


def write_usage(usage: core_usage.Usage) -> dict[str, Any]:
    """Return usage in Anthropic's format, which has no class for audio."""
    shape: dict[str, Any] = {
        "input_tokens": usage.input + usage.audio_in,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.total_output,
    }
    if usage.reasoning:
        shape["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return shape
