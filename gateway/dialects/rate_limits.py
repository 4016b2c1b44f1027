"""What is left of a provider's rate limits, in the headers that the client's kind of SDK reads.

| OpenAI's, `…` = `requests` or `tokens` | Anthropic's                         | value                                       |
|----------------------------------------|-------------------------------------|---------------------------------------------|
| `x-ratelimit-limit-…`                  | `anthropic-ratelimit-…-limit`       | a count                                     |
| `x-ratelimit-remaining-…`              | `anthropic-ratelimit-…-remaining`   | a count                                     |
| `x-ratelimit-reset-…`                  | `anthropic-ratelimit-…-reset`       | from now, `6m0s`; the moment, in RFC 3339   |

Anthropic counts tokens of prompts and of answers apart as well; OpenAI has no words for that. Headers of the client's own
vendor pass as they are. What is odd is left out: nothing here raises.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import product
from math import ceil
from types import MappingProxyType
from typing import Final

_KINDS: Final = ("requests", "tokens")
_OWN_KINDS: Final = MappingProxyType(
    {"openai": _KINDS, "anthropic": (*_KINDS, "input-tokens", "output-tokens")}
)  # by vendor
_WHATS: Final = ("limit", "remaining", "reset")

_PLAIN: Final = re.compile(rb"[0-9A-Za-z.:+-]{1,64}")
_COUNT: Final = re.compile(rb"[0-9]{1,15}")
_DURATION: Final = re.compile(
    rb"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?"
    rb"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)ms)?"
)
_UNITS_S: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_MOMENT: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_LONGEST_S: Final = 366 * 86400.0  # nothing longer is taken for a wait


def _name(vendor: str, what: str, kind: str) -> bytes:
    text = f"x-ratelimit-{what}-{kind}" if vendor == "openai" else f"anthropic-ratelimit-{kind}-{what}"
    return text.encode()


_NAMES: Final[Mapping[str, tuple[bytes, ...]]] = MappingProxyType(
    {
        vendor: tuple(_name(vendor, what, kind) for kind, what in product(kinds, _WHATS))
        for vendor, kinds in _OWN_KINDS.items()
    }
)
_ALL: Final = frozenset(name for names in _NAMES.values() for name in names)


def limit_lines(headers: Mapping[bytes, bytes], vendor: str, wall: Callable[[], float]) -> str:
    """Give the lines of an answer's head that tell a client of `vendor` what `headers` of a provider tell of its limits.

    Names in lower case; `wall` gives the time since the epoch, by which moments are told.
    """
    if _ALL.isdisjoint(headers):  # most providers tell nothing
        return ""
    own = [(name, headers[name]) for name in _NAMES[vendor] if name in headers]
    if not own:
        other = "openai" if vendor == "anthropic" else "anthropic"
        own = list(_translated(headers, other, vendor, wall()))
    return "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in own if _PLAIN.fullmatch(value))


def _translated(headers: Mapping[bytes, bytes], other: str, vendor: str, now_s: float) -> list[tuple[bytes, bytes]]:
    found = []
    for kind, what in product(_KINDS, _WHATS):
        value = headers.get(_name(other, what, kind), b"")
        if what != "reset":
            said = value if _COUNT.fullmatch(value) else b""
        elif vendor == "anthropic":
            said = _moment_in(_seconds(value), now_s)
        else:
            said = _duration(_seconds_until(value, _told_now(headers, now_s)))
        if said:
            found.append((_name(vendor, what, kind), said))
    return found


def _seconds(value: bytes) -> float | None:
    """Read a duration as OpenAI writes it."""
    found = _DURATION.fullmatch(value)
    if found is None or not any(found.groups()):
        return None
    wait_s = sum(float(part) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True) if part)
    return wait_s if wait_s <= _LONGEST_S else None


def _moment_in(wait_s: float | None, now_s: float) -> bytes:
    """Write when a wait is over, in whole seconds and never too early; b"" for no wait."""
    if wait_s is None:
        return b""
    return datetime.fromtimestamp(ceil(now_s + wait_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _seconds_until(value: bytes, now_s: float) -> float | None:
    if not _MOMENT.fullmatch(value):
        return None
    try:
        wait_s = datetime.fromisoformat(value.decode()).timestamp() - now_s
    except (ValueError, OverflowError):
        return None
    return max(0.0, wait_s) if wait_s <= _LONGEST_S else None


def _told_now(headers: Mapping[bytes, bytes], now_s: float) -> float:
    """Give the time by the provider's own clock, where it tells it: between its two dates no difference of clocks stands."""
    try:
        return parsedate_to_datetime(headers.get(b"date", b"").decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return now_s


def _duration(wait_s: float | None) -> bytes:
    """Write a wait as OpenAI does; b"" for none."""
    if wait_s is None:
        return b""
    if wait_s < 1:
        return b"%dms" % ceil(wait_s * 1000)
    minutes, seconds = divmod(ceil(wait_s * 1000) / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return f"{text}{seconds:.3f}".rstrip("0").rstrip(".").encode() + b"s"
