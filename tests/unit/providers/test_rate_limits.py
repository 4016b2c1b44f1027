"""Rate limits of a provider, sent to the clients of either vendor."""

from collections.abc import Iterator
from itertools import product

import pytest

from gateway.providers.rate_limits import limit_lines

NOON_S = 1_767_268_800.0  # 2026-01-01T12:00:00Z
OF_OPENAI = {
    b"x-ratelimit-limit-requests": b"5000",
    b"x-ratelimit-remaining-requests": b"4999",
    b"x-ratelimit-reset-requests": b"12ms",
    b"x-ratelimit-limit-tokens": b"160000",
    b"x-ratelimit-remaining-tokens": b"159984",
    b"x-ratelimit-reset-tokens": b"6m0s",
}
OF_ANTHROPIC = {
    b"anthropic-ratelimit-requests-limit": b"50",
    b"anthropic-ratelimit-requests-remaining": b"49",
    b"anthropic-ratelimit-requests-reset": b"2026-01-01T12:00:02Z",
    b"anthropic-ratelimit-tokens-limit": b"40000",
    b"anthropic-ratelimit-tokens-remaining": b"39000",
    b"anthropic-ratelimit-tokens-reset": b"2026-01-01T13:01:00.5Z",
    b"anthropic-ratelimit-input-tokens-remaining": b"7",
}


def lines(headers: dict[bytes, bytes], vendor: str) -> dict[str, str]:
    found = limit_lines({b"content-type": b"application/json", **headers}, vendor, lambda: NOON_S)
    assert found == "" or found.endswith("\r\n")
    return dict(line.split(": ", 1) for line in found.split("\r\n")[:-1])


def plain(headers: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers.items()}


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_nothing_is_told_where_the_provider_tells_nothing_and_no_clock_is_read(vendor: str) -> None:
    def wall() -> float:
        raise AssertionError("nobody needs the time")

    assert limit_lines({b"content-type": b"text/plain", b"x-ratelimit-limit-dogs": b"1"}, vendor, wall) == ""


def test_a_client_of_the_same_vendor_gets_them_as_they_are() -> None:
    assert lines(OF_OPENAI, "openai") == plain(OF_OPENAI)
    assert lines(OF_ANTHROPIC, "anthropic") == plain(OF_ANTHROPIC)


def test_durations_become_moments() -> None:
    assert lines(OF_OPENAI, "anthropic") == {
        "anthropic-ratelimit-requests-limit": "5000",
        "anthropic-ratelimit-requests-remaining": "4999",
        "anthropic-ratelimit-requests-reset": "2026-01-01T12:00:01Z",
        "anthropic-ratelimit-tokens-limit": "160000",
        "anthropic-ratelimit-tokens-remaining": "159984",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T12:06:00Z",
    }


def test_moments_become_durations_and_what_has_no_word_is_left_out() -> None:
    assert lines(OF_ANTHROPIC, "openai") == {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "49",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-limit-tokens": "40000",
        "x-ratelimit-remaining-tokens": "39000",
        "x-ratelimit-reset-tokens": "1h1m0.5s",
    }


@pytest.mark.parametrize(
    ("moment", "duration"),
    [
        ("2026-01-01T12:00:00Z", "0ms"),
        ("2026-01-01T11:00:00Z", "0ms"),
        ("2026-01-01T12:00:00.25Z", "250ms"),
        ("2026-01-01T12:00:10Z", "10s"),
        ("2026-01-01T12:06:00Z", "6m0s"),
        ("2026-01-01T14:00:00Z", "2h0m0s"),
        ("2026-01-01T14:00:01+01:00", "1h0m1s"),
    ],
)
def test_a_wait_is_written_as_its_vendor_writes_it(moment: str, duration: str) -> None:
    found = lines({b"anthropic-ratelimit-requests-reset": moment.encode()}, "openai")
    assert found == {"x-ratelimit-reset-requests": duration}


@pytest.mark.parametrize(
    ("duration", "moment"), [("1s", "01"), ("1.5s", "02"), ("0ms", "00"), ("59.2s", "00"), ("0d0h0m3s", "03")]
)
def test_a_moment_is_never_too_early(duration: str, moment: str) -> None:
    found = lines({b"x-ratelimit-reset-tokens": duration.encode()}, "anthropic")
    minute = "01" if duration.startswith("59") else "00"
    assert found == {"anthropic-ratelimit-tokens-reset": f"2026-01-01T12:{minute}:{moment}Z"}


def test_moments_are_taken_against_the_provider_s_own_clock() -> None:
    headers = {
        b"anthropic-ratelimit-requests-reset": b"2026-01-01T13:00:05Z",
        b"date": b"Thu, 01 Jan 2026 13:00:00 GMT",  # it is an hour ahead of us
    }
    assert lines(headers, "openai") == {"x-ratelimit-reset-requests": "5s"}


def odd() -> Iterator[tuple[bytes, bytes, str]]:
    counts = (b"", b"-1", b"many", b"1e9", b"1" * 16, b"1\r\nx-evil: 1", b"1 2", b"\xff", b"1.5")
    resets = (b"", b"s", b"5", b"tomorrow", b"9999999d", b"400d", b"1s\r\nx: 1", b"9" * 70)
    moments = (b"", b"2026-13-01T00:00:00Z", b"2026-01-01", b"3026-01-01T00:00:00Z", b"2026-01-01T12:00:00", b"0" * 70)
    for what, count in product((b"limit", b"remaining"), counts):
        yield b"x-ratelimit-%b-requests" % what, count, "anthropic"
        yield b"anthropic-ratelimit-requests-%b" % what, count, "openai"
    for reset in resets:
        yield b"x-ratelimit-reset-tokens", reset, "anthropic"
    for moment in moments:
        yield b"anthropic-ratelimit-tokens-reset", moment, "openai"


@pytest.mark.parametrize(("name", "value", "vendor"), list(odd()))
def test_what_is_odd_does_not_cross(name: bytes, value: bytes, vendor: str) -> None:
    assert lines({name: value}, vendor) == {}


@pytest.mark.parametrize("value", [b"", b"1\r\nx-evil: 1", b"1 2", b"\xff", b"9" * 65])
def test_what_could_harm_does_not_pass_even_to_the_same_vendor(value: bytes) -> None:
    assert lines({b"x-ratelimit-limit-requests": value}, "openai") == {}


def test_an_odd_date_of_the_answer_is_as_good_as_none() -> None:
    headers = {b"anthropic-ratelimit-requests-reset": b"2026-01-01T12:00:05Z", b"date": b"yesterday"}
    assert lines(headers, "openai") == {"x-ratelimit-reset-requests": "5s"}
