"""Times in HTTP headers: the one parser of dates, durations and numbers, and the writer of what clients are sent.

| form      | example                                  | parser             | headers                                  |
|-----------|------------------------------------------|--------------------|------------------------------------------|
| number    | `30`, `1.5`                              | `parse_number`     | `Retry-After`, `retry-after-ms`          |
| HTTP date | `Wed, 21 Oct 2026 07:28:00 GMT`          | `parse_http_date`  | `Retry-After`, `Date` (RFC 9110, 5.6.7)  |
| duration  | `6m0s`, `20ms`, `1h2m`                   | `parse_duration_s` | resets of rate limits                    |
| RFC 3339  | `2026-10-21T07:28:00Z`                   | `parse_rfc_3339`   | resets of rate limits                    |
| reset     | a number, duration, RFC 3339, or `1792567680` since the epoch | `parse_reset_s` | resets of rate limits  |

Every parser takes the raw bytes of a header and returns None for a value that is not of its form: nothing here raises.
Nothing here reads a clock: `wall_s`, the seconds since the epoch, is passed in.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from math import ceil
from typing import Final

VALUE_LIMIT: Final = 64  # bytes of a header's value; a longer value is no time
EPOCH_S: Final = 1e9  # a number from here on is seconds since the epoch, not a duration
EPOCH_MS: Final = 1e11  # a number from here on is milliseconds since the epoch

_NUMBER: Final = re.compile(rb"\d{1,15}(?:\.\d{0,9})?")
_DURATION: Final = re.compile(
    rb"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{0,9})?)s)?(?:(\d{1,9}(?:\.\d{0,9})?)ms)?"
)
_UNITS_S: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
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


def header_value(headers: Mapping[bytes, bytes], name: bytes) -> bytes:
    """Return a header's value without surrounding spaces, b"" where it is missing. A value that is too long parses as none."""
    return headers.get(name, b"")[: VALUE_LIMIT + 1].strip()


def parse_number(value: bytes) -> float | None:
    """Parse a number without a sign or an exponent."""
    return float(value) if _NUMBER.fullmatch(value) else None


def parse_duration_s(value: bytes) -> float | None:
    """Parse a duration such as `6m0s`, in seconds."""
    found = _DURATION.fullmatch(value)
    if found is None or not any(found.groups()):
        return None
    return sum(float(part) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True) if part)


def parse_rfc_3339(value: bytes) -> datetime | None:
    """Parse a date such as `2026-10-21T07:28:00Z`; one without an offset is none."""
    text = value.decode("latin-1")
    if _RFC_3339.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError:
        return None


def parse_http_date(value: bytes, wall_s: float | None) -> datetime | None:
    """Parse a date such as `Wed, 21 Oct 2026 07:28:00 GMT`, in any of its three forms (RFC 9110, 5.6.7).

    `wall_s` decides the century of a year of two digits; without it the century is 2000.
    """
    text = value.decode("latin-1")
    found = next((found for form in _HTTP_DATES if (found := form.fullmatch(text)) is not None), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    year, month = int(found["year"]), _MONTHS.index(found["month"].lower()) + 1
    if len(found["year"]) == 2:
        year = _with_century(year, wall_s)
    second = min(int(found["second"]), 59)  # datetime has no leap second
    try:
        return datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None


def _with_century(year: int, wall_s: float | None) -> int:
    """Return a year of two digits with its century: at most 50 years in the future (RFC 9110, 5.6.7)."""
    today = None if wall_s is None else from_epoch(wall_s)
    if today is None:
        return 2000 + year
    latest = today.year + 50
    return latest - (latest - year) % 100


def from_epoch(seconds: float) -> datetime | None:
    """Convert seconds since the epoch; None where no date can hold them."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def response_time(headers: Mapping[bytes, bytes], wall_s: float | None) -> datetime | None:
    """Return the time of a response by the provider's clock (`Date`), otherwise by `wall_s`.

    Between two times of one provider there is no clock skew.
    """
    stated = parse_http_date(header_value(headers, b"date"), wall_s)
    return stated or (None if wall_s is None else from_epoch(wall_s))


def seconds_until(moment: datetime | None, now: datetime | None) -> float | None:
    """Return the seconds from `now` to `moment`, negative for the past; None where one is unknown."""
    return None if moment is None or now is None else (moment - now).total_seconds()


def parse_reset_s(value: bytes, now: datetime | None) -> float | None:
    """Parse the seconds until a reset, in any form: seconds, seconds or milliseconds of the epoch, a duration, RFC 3339."""
    amount = parse_number(value)
    if amount is not None:
        if amount < EPOCH_S:
            return amount
        return seconds_until(from_epoch(amount / 1000 if amount >= EPOCH_MS else amount), now)
    duration_s = parse_duration_s(value)
    return duration_s if duration_s is not None else seconds_until(parse_rfc_3339(value), now)


def format_duration(duration_s: float) -> bytes:
    """Format a duration as `6m0s`, or below a second as `20ms`; rounded up to milliseconds."""
    if duration_s < 1:
        return b"%dms" % ceil(duration_s * 1000)
    minutes, seconds = divmod(ceil(duration_s * 1000) / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return f"{text}{seconds:.3f}".rstrip("0").rstrip(".").encode() + b"s"


def format_rfc_3339(epoch_s: float) -> bytes:
    """Format seconds since the epoch as `2026-10-21T07:28:00Z`, rounded up to whole seconds."""
    return datetime.fromtimestamp(ceil(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


@lru_cache(1)
def http_date(wall_s: int) -> str:
    """Return a date as headers have it (RFC 9110, 5.6.7); made once for each second."""
    return formatdate(wall_s, usegmt=True)
