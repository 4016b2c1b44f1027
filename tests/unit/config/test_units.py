"""Readers of units: exact, bounded, and of one mind with the schema's patterns."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import units
from gateway.config.definitions import definitions
from gateway.config.settings import setting_definitions
from gateway.config.spec import Listen
from gateway.config.units import READERS, UnitError

READ = [
    (units.read_duration, "500ms", 0.5),
    (units.read_duration, "1.5s", 1.5),
    (units.read_duration, "5m", 300.0),
    (units.read_duration, "1h", 3600.0),
    (units.read_duration, "0s", 0.0),
    (units.read_duration, "7d", 604800.0),
    (units.read_clock, "none", None),
    (units.read_clock, "1ms", 0.001),
    (units.read_size, "32MiB", 32 * 2**20),
    (units.read_size, "1.5kB", 1500),
    (units.read_size, "1024GiB", 2**40),
    (units.read_count, "500", 500),
    (units.read_count, "128k", 128_000),
    (units.read_count, "2M", 2_000_000),
    (units.read_count, "1.05M", 1_050_000),
    (units.read_cap, "none", None),
    (units.read_cap, "2k", 2000),
    (units.read_share, "20%", 0.2),
    (units.read_share, "0%", 0.0),
    (units.read_share, "100%", 1.0),
    (units.read_rate, "600/min", 10.0),
    (units.read_rate, "100/60s", 100 / 60),
    (units.read_rate, "50/s", 50.0),
    (units.read_rate, "24/day", 24 / 86400),
    (units.read_price, "2.50", 2_500_000),
    (units.read_price, "0.000001", 1),
    (units.read_price, "0", 0),
    (units.read_price, "0.075", 75_000),
    (units.read_listen, "127.0.0.1:8000", Listen("127.0.0.1", 8000)),
    (units.read_listen, "[::]:80", Listen("::", 80)),
    (units.read_listen, "unix:/run/g.sock", Listen(path="/run/g.sock")),
    (units.read_hash_by, "tenant", "tenant"),
    (units.read_hash_by, "header:X-Session", "header:x-session"),
    (units.read_mode, "0660", 0o660),
    (units.read_mode, "600", 0o600),
    (units.read_origin, "*", "*"),
    (units.read_origin, "https://App.example:443", "https://app.example"),
    (units.read_origin, "http://[::1]:3000", "http://[::1]:3000"),
    (units.read_url, "https://x:8443/v1/", "https://x:8443/v1"),
    (units.read_url, "https://x/v1/?api-version=1", "https://x/v1?api-version=1"),
    (units.read_url, "https://x/v1/?", "https://x/v1"),
    (units.read_url, "https://x/d/{model}/", "https://x/d/{model}"),
    (units.read_url, "https://x/d/{model}/y?v=1", "https://x/d/{model}/y?v=1"),
    (units.read_key_hash, "sha256:" + "AB" * 32, "ab" * 32),
]

REFUSED = [
    (units.read_duration, ["", "1", "1:30", "01s", "1e3s", "1 s", "s", "-1s", "٣s", "1s\n", "8d", "999999999h", ".5s"]),
    (units.read_positive_duration, ["0s", "0.0001ms"]),
    (units.read_clock, ["None", "off", "null", "0s"]),
    (units.read_size, ["1", "1K", "1mib", "0B", "1.5B", "2000GiB", "1KIB"]),
    (units.read_count, ["0", "1K", "1.5", "1e3", "010", "1m", "2000000M", "1_000", "-1"]),
    (units.read_cap, ["None", "0", "0k", "1.5", "any"]),
    (
        units.read_hash_by,
        ["session", "header", "header:", "header:a b", "tenant\n", "Tenant", "header:x:y", "header:" + "x" * 129],
    ),
    (units.read_share, ["0.2", "101%", "-1%", "1 %", "%"]),
    (units.read_rate, ["50", "50/", "0/s", "50/0s", "5/year", "/s", "50/s/s"]),
    (units.read_price, ["-1", "$1", "0.0000001", "1e-6", "free", "1000001", "NaN", "Infinity"]),
    (units.read_number, ["010", "0x10", "1e3", ".inf", "1_000", "+1", ".5", "1.", "--1", "nan", ""]),
    (units.read_listen, ["8000", ":8000", "a b:1", "x:65536", "::1:80", "unix:", "unix:" + "x" * 101, "http://x:1"]),
    (units.read_mode, ["660x", "0888", "1777", "00660", "rw", ""]),
    (units.read_origin, ["null", "https://", "https://a/", "https://a b", "ftp://a", "https://*.a", "a", ""]),
    (
        units.read_url,
        [
            "https://x/{model}/{model}",
            "https://{model}.x/v1",
            "https://x/v1?m={model}",
            "https://x/{name}",
            "https://x/{model",
            "https://x/v1?a=1&api-key=k",
            "https://x/v1?KEY=k",
            "https://x/v1?sig",
        ],
    ),
    (
        units.read_url,
        [
            "exchange",
            "ftp://x",
            "http://",
            "http://x:y",
            "http://x#a",
            "http://x?a=1#b",
            "http://a@x",
            "http://x y",
            "http://[x",
        ],
    ),
    (units.read_secret, ["a b", "a\r\nb", "é"]),
    (units.read_key_hash, ["sha256:" + "g" * 64, "ab" * 32, "sha256:" + "a" * 63]),
]


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_reads(read: Callable[[str], Any], text: str, value: Any) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("read", "text"), [(read, text) for read, texts in REFUSED for text in texts])
def test_refuses(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(UnitError):
        read(text)


@pytest.mark.parametrize("name", sorted(READERS))
def test_no_reader_repeats_what_it_was_given(name: str) -> None:
    with pytest.raises(UnitError) as error:
        READERS[name]("hush hush")
    assert "hush" not in str(error.value)


def test_a_price_is_exact_where_a_float_is_not() -> None:
    assert int(1.001 * 10**6) == 1_000_999
    assert units.read_price("1.001") == 1_001_000


@pytest.mark.parametrize("name", ["duration", "clock", "size", "count", "max_inflight", "share", "rate", "key_hash"])
@given(data=st.data())
def test_what_a_reader_takes_fits_the_schemas_pattern_and_the_rest_is_out_of_bounds(
    name: str, data: st.DataObject
) -> None:
    pattern = (definitions() | setting_definitions())[name]["pattern"]
    text = data.draw(
        st.one_of(st.from_regex(pattern, fullmatch=True), st.text("0123456789.kMmsh%/BiG:none", max_size=8))
    )
    try:
        READERS[name](text)
    except UnitError as error:
        said = str(error)
        assert (
            re.search(pattern, text) is None
            or text.endswith("\n")
            or "at " in said
            or "whole" in said
            or "more than 0" in said
        )
    else:
        assert re.search(pattern, text)
