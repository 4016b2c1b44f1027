"""What a provider asks us to wait, in every form that is in use, and what is taken for none."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.providers.retry_after import DAY_S, rate_limit_wait_s, stated_wait_s

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
WALL_S = NOW.timestamp()
DATE = b"Mon, 23 Nov 2026 10:00:00 GMT"
HOSTILE = [
    b"",
    b"soon",
    b"-5",
    b"+5",
    b"1e9",
    b"1e999",
    b"NaN",
    b"inf",
    b"0x10",
    b"1_000",
    b"1,5",
    b"5 s",
    b"9" * 400,
    "٣".encode(),
    b"\xff\x00",
    b"Mon, 32 Nov 2026 10:00:00 GMT",
    b"Mon, 23 Nov 2026 24:00:00 GMT",
    b"Mon, 23 Foo 2026 10:00:00 GMT",
    b"Mon, 23 Nov 2026 10:00:00 PST",
    b"Mon, 23 Nov 0000 10:00:00 GMT",
    b"23 Nov 2026 10:00:00 GMT",
]


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (b"0", 0.0),
        (b" 30 ", 30.0),
        (b"1.5", 1.5),
        (b"007", 7.0),
        (b"86401", DAY_S),
        (b"999999999999999", DAY_S),
        (b"Mon, 23 Nov 2026 10:00:20 GMT", 20.0),
        (b"Monday, 23-Nov-26 10:00:20 GMT", 20.0),
        (b"Mon Nov 23 10:00:20 2026", 20.0),
        (b"Thu Dec  3 10:00:00 2026", DAY_S),
        (b"Mon, 23 Nov 2026 10:00:60 GMT", 59.0),
        (b"Mon, 23 Nov 2026 09:59:59 GMT", 0.0),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        *((value, None) for value in HOSTILE),
    ],
)
def test_retry_after_is_seconds_or_a_date_in_one_of_three_forms(value: bytes, wait_s: float | None) -> None:
    assert stated_wait_s({b"retry-after": value}, WALL_S) == wait_s
    assert stated_wait_s({b"retry-after": value, b"date": DATE}, WALL_S + 9e4) == wait_s, (
        "the answer's own clock counts"
    )
    assert rate_limit_wait_s({b"retry-after": value}, WALL_S) == wait_s


def test_a_year_of_two_digits_is_never_more_than_fifty_years_ahead() -> None:
    for year, wait_s in ((b"76", DAY_S), (b"77", 0.0)):
        headers = {b"retry-after": b"Monday, 23-Nov-%b 10:00:00 GMT" % year}
        assert stated_wait_s(headers, WALL_S) == wait_s


def test_a_date_without_a_clock_to_take_it_against_is_no_wait() -> None:
    headers = {b"retry-after": b"Mon, 23 Nov 2026 10:00:20 GMT"}
    assert stated_wait_s(headers) is None
    assert stated_wait_s(headers | {b"date": DATE}) == 20.0
    assert stated_wait_s(headers | {b"date": b"yesterday"}, WALL_S) == 20.0


def test_milliseconds_win_as_they_say_it_more_exactly() -> None:
    assert stated_wait_s({b"retry-after-ms": b"250", b"retry-after": b"1"}) == 0.25
    assert stated_wait_s({b"retry-after-ms": b"soon", b"retry-after": b"1"}) == 1.0
    assert stated_wait_s({b"retry-after-ms": b"1" + b"0" * 14}) == DAY_S


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (b"1s", 1.0),
        (b"6m0s", 360.0),
        (b"20ms", 0.02),
        (b"1h2m", 3720.0),
        (b"2m59.56s", 179.56),
        (b"1m20ms", 60.02),
        (b"1d", DAY_S),
        (b"99h", DAY_S),
        (b"0", 0.0),
        (b"12.5", 12.5),
        (b"%d" % (WALL_S + 30), 30.0),
        (b"%d" % ((WALL_S + 30) * 1000), 30.0),
        (b"%d" % (WALL_S - 30), 0.0),
        (b"999999999999999", None),
        (b"2026-11-23T10:00:30Z", 30.0),
        (b"2026-11-23t10:00:30.500z", 30.5),
        (b"2026-11-23T11:00:30+01:00", 30.0),
        (b"2026-11-23T10:00:30.123456789Z", 30.123456),
        (b"2026-11-23T09:00:00Z", 0.0),
        (b"2026-11-23T10:00:30", None),
        (b"2026-13-01T00:00:00Z", None),
        (b"2026-11-23T10:00:30+99:99", None),
        (b"s", None),
        (b"ms", None),
        (b"1s1m", None),
        (b"1.5h", None),
        (b"-1s", None),
        *((value, None) for value in HOSTILE),
    ],
)
@pytest.mark.parametrize(
    ("reset", "remaining"),
    [
        (b"x-ratelimit-reset-requests", b"x-ratelimit-remaining-requests"),
        (b"x-ratelimit-reset-tokens", b"x-ratelimit-remaining-tokens"),
        (b"x-ratelimit-reset", b"x-ratelimit-remaining"),
        (b"ratelimit-reset", b"ratelimit-remaining"),
        (b"anthropic-ratelimit-input-tokens-reset", b"anthropic-ratelimit-input-tokens-remaining"),
    ],
)
def test_the_reset_of_a_limit_is_read_in_every_form(
    reset: bytes, remaining: bytes, value: bytes, wait_s: float | None
) -> None:
    expected = None if wait_s is None else pytest.approx(wait_s)
    assert rate_limit_wait_s({reset: value}, WALL_S) == expected
    assert rate_limit_wait_s({reset: value, remaining: b"0"}, WALL_S) == expected
    assert rate_limit_wait_s({reset: value, remaining: b"0", b"date": DATE}) == expected
    assert rate_limit_wait_s({reset: value, remaining: b"59"}, WALL_S) is None
    assert stated_wait_s({reset: value, remaining: b"0"}, WALL_S) is None


@pytest.mark.parametrize(
    ("requests", "tokens", "wait_s"),
    [
        (b"0", b"149984", 1.0),
        (b"59", b"0", 360.0),
        (b"0", b"0", 360.0),
        (b"59", b"149984", None),
        (b"-1", b"10", 1.0),
        (b"0.0", b"10", 1.0),
        (b"none", b"10", None),
        (None, b"0", 360.0),
        (None, b"10", None),
        (None, None, None),
    ],
)
def test_only_a_limit_that_is_used_up_says_how_long(
    requests: bytes | None, tokens: bytes | None, wait_s: float | None
) -> None:
    headers = {b"x-ratelimit-reset-requests": b"1s", b"x-ratelimit-reset-tokens": b"6m0s"}
    headers |= {} if requests is None else {b"x-ratelimit-remaining-requests": requests}
    headers |= {} if tokens is None else {b"x-ratelimit-remaining-tokens": tokens}
    assert rate_limit_wait_s(headers, WALL_S) == wait_s


def test_what_is_said_outright_wins_over_what_limits_let_guess() -> None:
    limits = {b"x-ratelimit-reset-requests": b"6m0s", b"x-ratelimit-remaining-requests": b"0"}
    assert rate_limit_wait_s(limits | {b"retry-after": b"2"}, WALL_S) == 2.0
    assert rate_limit_wait_s(limits | {b"retry-after": b"soon"}, WALL_S) == 360.0


names = st.sampled_from(
    [
        b"date",
        b"retry-after",
        b"retry-after-ms",
        b"x-ratelimit-reset",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset-tokens",
        b"x-ratelimit-remaining-tokens",
        b"anthropic-ratelimit-tokens-reset",
    ]
)
values = st.one_of(
    st.binary(max_size=500),
    st.text("0123456789.-+:TZhmsdGMT ,", max_size=40).map(str.encode),
    st.integers().map(lambda number: b"%d" % number),
    st.floats().map(lambda number: str(number).encode()),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat().encode()),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: format_datetime(moment, usegmt=True).encode()),
)


@given(st.dictionaries(names, values), st.none() | st.floats(0, 4e9) | st.floats(allow_nan=False))
@example({b"retry-after": b"Monday, 23-Nov-26 10:00:20 GMT"}, 253402300799.0)
def test_whatever_comes_the_wait_is_none_or_within_a_day(headers: dict[bytes, bytes], wall_s: float | None) -> None:
    for wait_s in (stated_wait_s(headers, wall_s), rate_limit_wait_s(headers, wall_s)):
        assert wait_s is None or 0 <= wait_s <= DAY_S


@given(st.integers(0, int(DAY_S)), st.integers(0, 4 * 10**9))
def test_a_date_asks_for_the_time_until_it(wait_s: int, wall_s: int) -> None:
    moment = datetime.fromtimestamp(wall_s + wait_s, UTC)
    assert stated_wait_s({b"retry-after": format_datetime(moment, usegmt=True).encode()}, wall_s) == wait_s
