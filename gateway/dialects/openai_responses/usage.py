"""How OpenAI's responses count tokens: as chat completions do, under other names."""

from typing import Any

import msgspec

from gateway.core import usage as core_usage
from gateway.core.usage import bounded_tokens


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """The member `usage` of a response."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def read_usage(usage: Usage | None) -> core_usage.Usage | None:
    """Give usage in disjoint classes; None where there is none."""
    if usage is None or usage.input_tokens is None:
        return None
    told, thought = usage.input_tokens_details or _InputDetails(), usage.output_tokens_details or _OutputDetails()
    cached, written = bounded_tokens(told.cached_tokens), bounded_tokens(told.cache_write_tokens)
    reasoning = bounded_tokens(thought.reasoning_tokens)
    return core_usage.Usage(
        input=max(0, bounded_tokens(usage.input_tokens) - cached - written),
        cached_input=cached,
        cache_write=written,
        output=max(0, bounded_tokens(usage.output_tokens) - reasoning),
        reasoning=reasoning,
    )


def write_usage(usage: core_usage.Usage) -> dict[str, Any]:
    """Give usage as a client of OpenAI's responses expects it. Sound has no class of its own there."""
    return {
        "input_tokens": usage.total_input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.total_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_input + usage.total_output,
    }
