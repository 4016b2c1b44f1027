"""Rate limits of a provider, in the headers that the client's kind of SDK reads.

| OpenAI's, `…` = `requests` or `tokens` | Anthropic's                         | value                                             |
|----------------------------------------|-------------------------------------|---------------------------------------------------|
| `x-ratelimit-limit-…`                  | `anthropic-ratelimit-…-limit`       | a count                                           |
| `x-ratelimit-remaining-…`              | `anthropic-ratelimit-…-remaining`   | a count                                           |
| `x-ratelimit-reset-…`                  | `anthropic-ratelimit-…-reset`       | a duration, `6m0s`; a date (RFC 3339)             |

Anthropic counts tokens of prompts and of answers separately as well; OpenAI has no header for that. Headers of the client's
own vendor pass unchanged. A malformed value is left out: nothing here raises.
"""

import re
from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType
from typing import Final

from gateway.core.http_time import (
    format_duration,
    format_rfc_3339,
    header_value,
    parse_duration_s,
    parse_rfc_3339,
    response_time,
    seconds_until,
)

_COUNTED: Final = ("requests", "tokens")
_COUNTED_BY_VENDOR: Final = MappingProxyType(
    {"openai": _COUNTED, "anthropic": (*_COUNTED, "input-tokens", "output-tokens")}
)
_FIELDS: Final = ("limit", "remaining", "reset")

_PLAIN: Final = re.compile(rb"[0-9A-Za-z.:+-]{1,64}")
_COUNT: Final = re.compile(rb"[0-9]{1,15}")
_LONGEST_S: Final = 366 * 86400.0  # a longer wait is malformed


def _name(vendor: str, field: str, counted: str) -> bytes:
    text = f"x-ratelimit-{field}-{counted}" if vendor == "openai" else f"anthropic-ratelimit-{counted}-{field}"
    return text.encode()


LIMIT_HEADERS: Final[Mapping[str, tuple[bytes, ...]]] = MappingProxyType(
    {
        vendor: tuple(_name(vendor, field, counted) for counted, field in product(names, _FIELDS))
        for vendor, names in _COUNTED_BY_VENDOR.items()
    }
)
"""The headers of rate limits, by vendor, in the order in which they are sent."""
_ALL: Final = frozenset(name for names in LIMIT_HEADERS.values() for name in names)


def limit_lines(headers: Mapping[bytes, bytes], vendor: str, wall: Callable[[], float]) -> str:
    """Return the lines of a response's head that hold the rate limits in `headers`, for a client of `vendor`.

    Names in lower case. `wall` returns the seconds since the epoch; it is called only where a limit is translated.
    """
    if _ALL.isdisjoint(headers):  # most providers send no limits
        return ""
    limits = [(name, headers[name]) for name in LIMIT_HEADERS[vendor] if name in headers]
    if not limits:
        other = "openai" if vendor == "anthropic" else "anthropic"
        limits = list(_translated(headers, other, vendor, wall()))
    return "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in limits if _PLAIN.fullmatch(value))


def _translated(headers: Mapping[bytes, bytes], other: str, vendor: str, wall_s: float) -> list[tuple[bytes, bytes]]:
    limits = []
    for counted, field in product(_COUNTED, _FIELDS):
        name = _name(other, field, counted)
        if field != "reset":
            value = headers.get(name, b"")
            translated = value if _COUNT.fullmatch(value) else b""
        elif vendor == "anthropic":
            wait_s = _plausible(parse_duration_s(header_value(headers, name)))
            translated = b"" if wait_s is None else format_rfc_3339(wall_s + wait_s)
        else:
            reset_at = parse_rfc_3339(header_value(headers, name))
            wait_s = _plausible(seconds_until(reset_at, response_time(headers, wall_s)))
            translated = b"" if wait_s is None else format_duration(max(0.0, wait_s))
        if translated:
            limits.append((_name(vendor, field, counted), translated))
    return limits


def _plausible(wait_s: float | None) -> float | None:
    return None if wait_s is None or wait_s > _LONGEST_S else wait_s
