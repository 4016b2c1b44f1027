"""Why an answer ended, in the words of all providers: the known reasons, and nothing else, are an end.

Compatible servers and relays pass on the words of the vendor behind them, so one table serves every dialect. A reason that
is not in it (`error`, `abort`, `network_error`, `insufficient_system_resource`, `MALFORMED_FUNCTION_CALL`) says that the
answer was cut, not that it ended.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.core.conversation import StopReason
from gateway.core.errors import Unavailable
from gateway.core.faults import Fault

_NOT_GIVEN: Final = frozenset(("", "null", "none"))  # what servers send on every chunk before the last

STOPS: Final[Mapping[str, StopReason]] = MappingProxyType(
    {
        "stop": "end",
        "end": "end",
        "end_turn": "end",
        "eos": "end",
        "eos_token": "end",
        "complete": "end",
        "completed": "end",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "max_tokens": "max_tokens",
        "max_output_tokens": "max_tokens",
        "max_new_tokens": "max_tokens",
        "max_length": "max_tokens",
        "model_length": "context_window",
        "context_length": "context_window",
        "model_context_window_exceeded": "context_window",
        "tool_calls": "tool_use",
        "tool_call": "tool_use",
        "tool_use": "tool_use",
        "function_call": "tool_use",
        "content_filter": "content_filter",
        "content_filtered": "content_filter",
        "guardrail_intervened": "content_filter",
        "sensitive": "content_filter",
        "safety": "content_filter",
        "image_safety": "content_filter",
        "recitation": "content_filter",
        "blocklist": "content_filter",
        "prohibited_content": "content_filter",
        "spii": "content_filter",
        "refusal": "refusal",
        "pause_turn": "pause",
        "compaction": "pause",
    }
)
"""Meaning of each known reason, in lower case."""


def given_reason(reason: str | None) -> str:
    """Return a reason in lower case, "" where the provider has given none."""
    reason = "" if reason is None else reason.lower()
    return "" if reason in _NOT_GIVEN else reason


def stop_of(reason: str | None) -> StopReason:
    """Return why a whole answer ended; without a reason, at its own end. Raises `Unavailable` for a reason that is no end."""
    stop = STOPS.get(given_reason(reason) or "stop")
    if stop is None:
        raise Unavailable(f"the provider's answer ended with {str(reason)[:40]!r}", fault=Fault.HIDDEN_ERROR)
    return stop
