"""What a refusing provider asks us to wait, in seconds.

Said outright: `retry-after-ms`, or `Retry-After` as seconds or as a date (RFC 9110, 10.2.3). Otherwise it may follow from the
headers of rate limits, which come in families:

| reset header                                   | its value                                                   |
|------------------------------------------------|-------------------------------------------------------------|
| `x-ratelimit-reset-requests`, `-tokens`, …     | OpenAI and many others: a duration, `1s`, `6m0s`, `20ms`    |
| `anthropic-ratelimit-requests-reset`, …        | a date (RFC 3339)                                           |
| `x-ratelimit-reset`, `ratelimit-reset`         | seconds from now, or since the epoch (or its milliseconds)  |

Each has a `remaining` beside it. All limits are told in every answer, so the reset of one that is not used up says nothing of
this refusal. Providers mix the forms, so every form is read in every header. Dates are taken against the answer's own
`Date`, which makes the two clocks' difference vanish. What is odd counts as not said: nothing here raises.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

DAY_S: Final = 86400.0  # nothing longer is taken for a wait
EPOCH_S: Final = 1e9  # seconds above this are a date, not a duration
EPOCH_MS: Final = 1e11  # and above this milliseconds of one
TEXT_LIMIT: Final = 64  # bytes of a value that are looked at

_NUMBER: Final = re.compile(rb"\d{1,15}(?:\.\d{0,9})?")
_REMAINING: Final = re.compile(rb"-?\d{1,15}(?:\.\d{0,9})?")
_DURATION: Final = re.compile(
    rb"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{0,9})?)s)?(?:(\d{1,9}(?:\.\d{0,9})?)ms)?"
)
_UNITS_S: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_RESET: Final = re.compile(rb"(?:x-)?ratelimit-reset(?:-.+)?|anthropic-ratelimit-.+-reset")
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_HTTP_DATES: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Za-z]{{3}}, (?P<day>\d\d) (?P<month>[A-Za-z]{{3}}) (?P<year>\d{{4}}) {_CLOCK} GMT",
        rf"[A-Za-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[A-Za-z]{{3}})-(?P<year>\d\d) {_CLOCK} GMT",
        rf"[A-Za-z]{{3}} (?P<month>[A-Za-z]{{3}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    )
)


def stated_wait_s(headers: Mapping[bytes, bytes], wall_s: float | None = None) -> float | None:
    """Give the wait that is said outright; None where there is none. Names in lower case; dates that have passed give 0.

    `wall_s` is the time since the epoch, for dates in an answer without a `Date`; None: there they can't be read.
    """
    wait_s = _number(_value(headers, b"retry-after-ms"))
    if wait_s is not None:
        return _bounded(wait_s / 1000)
    value = _value(headers, b"retry-after")
    wait_s = _number(value)
    if wait_s is None:
        wait_s = _until(_http_date(value, wall_s), _now(headers, wall_s))
    return _bounded(wait_s)


def rate_limit_wait_s(headers: Mapping[bytes, bytes], wall_s: float | None = None) -> float | None:
    """Give the wait that is said outright, else the longest until a limit that is used up is reset.

    A reset without a `remaining` counts where it is the only one.
    """
    told_s = stated_wait_s(headers, wall_s)
    if told_s is not None:
        return told_s
    now = _now(headers, wall_s)
    resets = [name for name in headers if _RESET.fullmatch(name)]
    waits = [
        wait_s
        for name in resets
        if _is_used_up(headers, name, is_alone=len(resets) == 1)
        and (wait_s := _bounded(_reset(_value(headers, name), now))) is not None
    ]
    return max(waits, default=None)


def _is_used_up(headers: Mapping[bytes, bytes], reset: bytes, *, is_alone: bool) -> bool:
    name = reset.replace(b"reset", b"remaining")
    if name not in headers:
        return is_alone
    remaining = _REMAINING.fullmatch(_value(headers, name))
    return remaining is not None and float(remaining[0]) <= 0


def _reset(value: bytes, now: datetime | None) -> float | None:
    amount = _number(value)
    if amount is not None:
        if amount < EPOCH_S:
            return amount
        return _until(_from_epoch(amount / 1000 if amount >= EPOCH_MS else amount), now)
    found = _DURATION.fullmatch(value)
    if found is not None and any(part is not None for part in found.groups()):
        return sum(float(part) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True) if part)
    return _until(_rfc_3339(value), now)


def _value(headers: Mapping[bytes, bytes], name: bytes) -> bytes:
    return headers.get(name, b"")[: TEXT_LIMIT + 1].strip()


def _number(value: bytes) -> float | None:
    return float(value) if _NUMBER.fullmatch(value) else None


def _bounded(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(max(wait_s, 0.0), DAY_S)


def _now(headers: Mapping[bytes, bytes], wall_s: float | None) -> datetime | None:
    return _http_date(_value(headers, b"date"), wall_s) or (None if wall_s is None else _from_epoch(wall_s))


def _until(moment: datetime | None, now: datetime | None) -> float | None:
    return None if moment is None or now is None else (moment - now).total_seconds()


def _from_epoch(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _rfc_3339(value: bytes) -> datetime | None:
    text = value.decode("latin-1")
    if not text.isascii() or _RFC_3339.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError:
        return None


def _http_date(value: bytes, wall_s: float | None) -> datetime | None:
    """Read a date in any of its three forms (RFC 9110, 5.6.7)."""
    text = value.decode("latin-1")
    found = next((found for form in _HTTP_DATES if (found := form.fullmatch(text)) is not None), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    year, month = int(found["year"]), _MONTHS.index(found["month"].lower()) + 1
    if len(found["year"]) == 2:
        year = _whole_year(year, wall_s)
    second = min(int(found["second"]), 59)  # a leap second is a second like others
    try:
        return datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None


def _whole_year(year: int, wall_s: float | None) -> int:
    """Give a year of two digits its century: never more than 50 years ahead."""
    today = None if wall_s is None else _from_epoch(wall_s)
    if today is None:
        return 2000 + year
    latest = today.year + 50
    return latest - (latest - year) % 100
