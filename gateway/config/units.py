"""Readers of everything that is written with a unit: durations, sizes, counts, shares, rates, prices.

Over 300 lines: one short reader for each unit.

Each takes the text as it stands in the file and gives a plain value, exactly or not at all; `UnitError` says what would
be right and never repeats the text. The patterns are those of the JSON Schema, so that editors accept what the gateway accepts;
bounds beyond a pattern (`999999999h`) are checked here alone.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from gateway.config.address import Listen
from gateway.config.proxies import ProxySpec, read_proxy_url
from gateway.core.money import PICODOLLARS, PICODOLLARS_PER_TOKEN
from gateway.core.secret import Secret

_NUMBER = r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?"

DURATION = rf"^{_NUMBER}(?:ms|s|m|h|d)$"
CLOCK = rf"^(?:none|{_NUMBER}(?:ms|s|m|h|d))$"
SIZE = rf"^{_NUMBER}(?:B|kB|MB|GB|KiB|MiB|GiB)$"
COUNT = rf"^{_NUMBER}[kM]?$"
CAP = rf"^(?:none|{_NUMBER}[kM]?)$"
SHARE = rf"^{_NUMBER}%$"
RATE = rf"^{_NUMBER}/(?:[1-9][0-9]{{0,8}})?(?:s|min|h|hour|day|d)$"
MODE = r"^0?[0-7]{3}$"
OWNER = r"^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?|:[A-Za-z0-9_][A-Za-z0-9_.-]*)$"
ORIGIN = r"^(?:\*|https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?)$"
HASH_BY = r"^(?:conversation|tenant|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128})$"
KEY_HASH = r"^sha256:[0-9a-fA-F]{64}$"

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TIMES = {"": 1, "k": 10**3, "M": 10**6}

_MODEL = "{model}"
_KEYS = frozenset(
    {"key", "api-key", "api_key", "apikey", "x-api-key", "token", "access_token", "sig", "code", "subscription-key"}
)

_NO_URL = "must be an http:// or https:// URL, such as https://api.openai.com/v1"

LONGEST_S = 7 * 86400
LARGEST_BYTES = 2**40
LARGEST_COUNT = 10**12
DEAREST_USD = 10**6
DEAREST_REQUEST_USD = 1000
MOST_WORKERS = 64


class UnitError(ValueError):
    """The text is not what the unit asks for; the message says what would be."""


def read_number(text: str) -> Decimal:
    """Return a plain decimal number; `010`, `1e3`, `0x10`, `.5`, `+1`, `1_000`, `.inf` are none."""
    if re.fullmatch(rf"-?{_NUMBER}", text) is None:
        raise UnitError("must be a plain decimal number")
    return Decimal(text)


def read_duration(text: str) -> float:
    """Return seconds, 0 included."""
    amount, unit = _split(text, DURATION, "a duration such as 500ms, 30s, 5m or 1h", "30s or 30ms")
    seconds = amount / 1000 if unit == "ms" else amount * _SECONDS[unit]
    if seconds > LONGEST_S:
        raise UnitError("must be at most 7d")
    return float(seconds)


def read_positive_duration(text: str) -> float:
    """Return seconds, more than 0."""
    seconds = read_duration(text)
    if seconds < 0.001:
        raise UnitError("must be at least 1ms")
    return seconds


def read_clock(text: str) -> float | None:
    """Return seconds, more than 0, or None for `none`: the clock is off."""
    if text == "none":
        return None
    try:
        return read_positive_duration(text)
    except UnitError as error:
        raise UnitError(f"{error}; none switches it off") from None


def read_size(text: str) -> int:
    """Return bytes, at least 1."""
    amount, unit = _split(text, SIZE, "a size such as 512KiB, 32MiB or 1GiB", "32MiB or 512KiB")
    return _whole(amount * _BYTES[unit], LARGEST_BYTES, "1024GiB")


def read_count(text: str) -> int:
    """Return a count, at least 1; `k` is a thousand, `M` a million."""
    amount, unit = _split(text, COUNT, "a count such as 500, 128k or 2M", "")
    return _whole(amount * _TIMES[unit], LARGEST_COUNT, "1000000M")


def read_cap(text: str) -> int | None:
    """Return a count, or None for `none`: any number."""
    if text == "none":
        return None
    try:
        return read_count(text)
    except UnitError as error:
        raise UnitError(f"{error}; none sets no limit") from None


def read_workers(text: str) -> int | Literal["auto"]:
    """Return a number of processes, or `auto`."""
    if text == "auto":
        return "auto"
    if re.fullmatch("[1-9][0-9]?", text) is None or int(text) > MOST_WORKERS:
        raise UnitError(f"must be a whole number from 1 to {MOST_WORKERS}, or auto")
    return int(text)


def read_share(text: str) -> float:
    """Return a fraction from 0 to 1; every share is written as a percentage."""
    amount, _ = _split(text, SHARE, "a share such as 20% or 0.5%", "20%")
    if amount > 100:
        raise UnitError("must be at most 100%")
    return float(amount / 100)


def read_rate(text: str) -> float:
    """Return events per second."""
    if re.fullmatch(RATE, text) is None:
        raise UnitError("must be a rate such as 50/s, 600/min or 100/60s")
    amount, per = text.split("/")
    window, unit = re.fullmatch(r"([0-9]*)([a-z]+)", per).groups()  # type: ignore[union-attr]
    events = Decimal(amount)
    if not 0 < events <= LARGEST_COUNT:
        raise UnitError("must be more than 0 and at most 1000000M")
    return float(events / (int(window or 1) * _SECONDS[unit]))


def read_price(text: str) -> int:
    """Return picodollars per token from US dollars per million tokens, exactly."""
    try:
        dollars = read_number(text)
    except UnitError:
        raise UnitError("must be US dollars per million tokens as a plain number, such as 2.50") from None
    if dollars < 0:
        raise UnitError("must not be below 0")
    if dollars > DEAREST_USD:
        raise UnitError("must be at most 1000000 US dollars per million tokens")
    picodollars = dollars * PICODOLLARS_PER_TOKEN
    if picodollars != int(picodollars):
        raise UnitError("must have at most 6 decimals")
    return int(picodollars)


def read_request_price(text: str) -> int:
    """Return picodollars from US dollars, exactly."""
    try:
        dollars = read_number(text)
    except UnitError:
        raise UnitError("must be US dollars per request as a plain number, such as 0.01") from None
    if not 0 <= dollars <= DEAREST_REQUEST_USD:
        raise UnitError(f"must be from 0 to {DEAREST_REQUEST_USD} US dollars per request")
    return int(dollars * PICODOLLARS)


def read_key_hash(text: str) -> str:
    """Return the 64 lower-case hex digits of a key's hash."""
    if re.fullmatch(KEY_HASH, text) is None:
        raise UnitError(
            'must be "sha256:" and 64 hex digits, never the key itself; '
            "`gateway keys new` makes a key and the line for this file"
        )
    return text.removeprefix("sha256:").lower()


def read_secret(text: str) -> Secret:
    """Return a secret, which no message prints; it may be empty, and holds nothing that could split a header."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UnitError("must be printable ASCII without spaces or line breaks")
    return Secret(text)


def read_url(text: str) -> str:
    """Return an http or https URL without a slash at the end of its path, fragment, or credentials.

    `{model}` may stand in its path, once, for the id of a model.
    """
    bare = text.replace(_MODEL, "model")
    try:
        parts = urlsplit(bare)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port or an IPv6 address that is none
        raise UnitError(_NO_URL) from None
    if not is_url or not bare.isascii() or not bare.isprintable() or set(' "<>\\^`{|}') & set(bare):
        raise UnitError(_NO_URL)
    if "@" in parts.netloc:
        raise UnitError("must not hold a user name or password; give the key as `key`")
    if "#" in text:
        raise UnitError("must end with the path or a query: no fragment")
    if any(name.lower() in _KEYS for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise UnitError("must not hold a key in its query; give it as `key`")
    base, mark, query = text.partition("?")
    if text.count(_MODEL) > 1 or _MODEL in query or _MODEL in urlsplit(text).netloc:
        raise UnitError(f"may hold {_MODEL} once, and only in its path")
    return base.rstrip("/") + (mark + query if query else "")


def read_listen(text: str) -> Listen:
    """Return the address of a listener: `host:port`, `[v6]:port` or `unix:path`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or len(path.encode()) > 100:
            raise UnitError("must name a socket path of at most 100 bytes, such as unix:/run/gateway.sock")
        return Listen(path=path)
    if text.startswith(("https://", "tls:")):
        raise UnitError(
            'must be host:port, with the certificate beside it: {address: "0.0.0.0:8443", tls: {cert: …, key: …}}'
        )
    parts = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", text)
    if parts is None or int(parts[3]) > 65535:
        raise UnitError('must be host:port, such as "127.0.0.1:8000", or unix:/run/gateway.sock')
    return Listen(host=parts[1] or parts[2], port=int(parts[3]))


def read_proxy(text: str) -> ProxySpec | Literal["none"]:
    """Return an HTTP proxy, or `none`."""
    if text == "none":
        return "none"
    try:
        return read_proxy_url(text)
    except ValueError as error:
        raise UnitError(str(error)) from None


def read_mode(text: str) -> int:
    """Return the permissions of a file, written in octal digits."""
    if re.fullmatch(MODE, text) is None:
        raise UnitError("must be three octal digits, such as 0660")
    return int(text, 8)


def read_origin(text: str) -> str:
    """Return an origin as browsers send it: in lower case, without the scheme's own port; or `*`."""
    if re.fullmatch(ORIGIN, text) is None:
        raise UnitError('must be an origin without a path, such as https://app.example, or "*"')
    text = text.lower()
    return text.removesuffix(":443") if text.startswith("https:") else text.removesuffix(":80")


def read_hash_by(text: str) -> str:
    """Return `conversation`, `tenant` or `header:` and a name in lower case."""
    if re.fullmatch(HASH_BY, text) is None:
        raise UnitError("must be conversation, tenant or header:NAME, such as header:x-session")
    return text.lower()


READERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "duration": read_duration,
        "positive_duration": read_positive_duration,
        "clock": read_clock,
        "size": read_size,
        "count": read_count,
        "max_inflight": read_cap,
        "workers": read_workers,
        "share": read_share,
        "rate": read_rate,
        "price": read_price,
        "request_price": read_request_price,
        "key_hash": read_key_hash,
        "secret": read_secret,
        "url": read_url,
        "address": read_listen,
        "listener": read_listen,
        "proxy": read_proxy,
        "mode": read_mode,
        "origin": read_origin,
        "hash_by": read_hash_by,
    }
)
"""By the name of the schema's `$defs` entry that asks for it."""


def _split(text: str, pattern: str, what: str, with_unit: str) -> tuple[Decimal, str]:
    if re.fullmatch(pattern, text) is None:
        if with_unit and re.fullmatch(_NUMBER, text):
            raise UnitError(f"needs a unit, such as {with_unit}")
        raise UnitError(f"must be {what}")
    number = re.match(_NUMBER, text)
    assert number is not None  # every pattern begins with one
    return Decimal(number[0]), text[number.end() :]


def _whole(amount: Decimal, largest: int, largest_text: str) -> int:
    if amount != int(amount):
        raise UnitError("must come to a whole number")
    if amount < 1:
        raise UnitError("must be at least 1")
    if amount > largest:
        raise UnitError(f"must be at most {largest_text}")
    return int(amount)
