"""How OpenAI counts tokens: prompt and completion as wholes, and what is part of each beside them."""

from typing import Any

import msgspec

from gateway.core import usage as core_usage
from gateway.core.usage import bounded_tokens


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct):
    """The member `usage` of an answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


def read_usage(usage: Usage | None) -> core_usage.Usage | None:
    """Give usage in disjoint classes; None where there is none."""
    if usage is None or usage.prompt_tokens is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = written = audio_in = reasoning = audio_out = 0
    if prompt is not None:
        cached, written = bounded_tokens(prompt.cached_tokens), bounded_tokens(prompt.cache_write_tokens)
        audio_in = bounded_tokens(prompt.audio_tokens)
    if completion is not None:
        reasoning, audio_out = bounded_tokens(completion.reasoning_tokens), bounded_tokens(completion.audio_tokens)
    return core_usage.Usage(
        input=max(0, bounded_tokens(usage.prompt_tokens) - cached - written - audio_in),
        cached_input=cached,
        cache_write=written,
        output=max(0, bounded_tokens(usage.completion_tokens) - reasoning - audio_out),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
    )


def write_usage(usage: core_usage.Usage) -> dict[str, Any]:
    """Give usage as a client of OpenAI's expects it."""
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.total_output,
        "total_tokens": usage.total_input + usage.total_output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
            "audio_tokens": usage.audio_in,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }
