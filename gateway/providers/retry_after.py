"""How long a provider that refuses a request asks the gateway to wait, in seconds.

1. Stated outright: `retry-after-ms`, otherwise `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
2. Otherwise, for a rate limit, the reset of a limit that is used up:

| reset header                                   | its value                                                   |
|------------------------------------------------|-------------------------------------------------------------|
| `x-ratelimit-reset-requests`, `-tokens`, …     | OpenAI and many others: a duration, `1s`, `6m0s`, `20ms`    |
| `anthropic-ratelimit-requests-reset`, …        | a date (RFC 3339)                                           |
| `x-ratelimit-reset`, `ratelimit-reset`         | seconds from now, or since the epoch (or its milliseconds)  |

Each has a `remaining` header beside it. Every response states all limits, so the reset of a limit that is not used up says
nothing about this refusal. Providers mix the forms, so every form is accepted in every reset header. Dates are compared with
the response's own `Date`, which removes the clock skew. A malformed value counts as missing: nothing here raises.

This file is the policy (which header wins, the bounds); `core/http_time.py` parses `Wed, 21 Oct 2026 07:28:00 GMT` and the rest.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.core.http_time import (
    header_value,
    parse_http_date,
    parse_number,
    parse_reset_s,
    response_time,
    seconds_until,
)

DAY_S: Final = 86400.0  # the longest wait; a longer one is cut to it

_REMAINING: Final = re.compile(rb"-?\d{1,15}(?:\.\d{0,9})?")
_RESET: Final = re.compile(rb"(?:x-)?ratelimit-reset(?:-.+)?|anthropic-ratelimit-.+-reset")


def stated_wait_s(headers: Mapping[bytes, bytes], wall_s: float | None = None) -> float | None:
    """Return the wait of `retry-after-ms` or `Retry-After`, None where neither is valid; 0 for a date in the past.

    Header names are in lower case. `wall_s`: seconds since the epoch, for dates in a response without `Date`; without it such
    dates can't be read.
    """
    wait_ms = parse_number(header_value(headers, b"retry-after-ms"))
    if wait_ms is not None:
        return _bounded(wait_ms / 1000)
    value = header_value(headers, b"retry-after")
    wait_s = parse_number(value)
    if wait_s is None:
        wait_s = seconds_until(parse_http_date(value, wall_s), response_time(headers, wall_s))
    return _bounded(wait_s)


def rate_limit_wait_s(headers: Mapping[bytes, bytes], wall_s: float | None = None) -> float | None:
    """Return the stated wait, otherwise the longest until a limit that is used up resets.

    A reset header without its `remaining` counts where it is the only reset header.
    """
    wait_s = stated_wait_s(headers, wall_s)
    if wait_s is not None:
        return wait_s
    now = response_time(headers, wall_s)
    resets = [name for name in headers if _RESET.fullmatch(name)]
    waits = [
        reset_s
        for name in resets
        if _is_used_up(headers, name, is_alone=len(resets) == 1)
        and (reset_s := _bounded(parse_reset_s(header_value(headers, name), now))) is not None
    ]
    return max(waits, default=None)


def _is_used_up(headers: Mapping[bytes, bytes], reset: bytes, *, is_alone: bool) -> bool:
    name = reset.replace(b"reset", b"remaining")
    if name not in headers:
        return is_alone
    remaining = _REMAINING.fullmatch(header_value(headers, name))
    return remaining is not None and float(remaining[0]) <= 0


def _bounded(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(max(wait_s, 0.0), DAY_S)
