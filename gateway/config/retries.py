"""Retries: that pauses grow."""

from collections.abc import Iterator
from typing import Any

from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.spec import RetrySpec


def check_retries(reader: Reader, names: Names) -> None:
    """Refuse a `backoff` that is longer than its `backoff_cap`, at the level that says so."""
    general = names.defaults.get("retry")
    for trail, level in _levels(names):
        retry = level.get("retry") if isinstance(level, dict) else None
        if not isinstance(retry, dict):
            continue
        both = {"backoff": RetrySpec().backoff_s, "backoff_cap": RetrySpec().backoff_cap_s}
        both |= {**(general if isinstance(general, dict) else {}), **retry}
        backoff, longest = both["backoff"], both["backoff_cap"]
        if not isinstance(backoff, float) or not isinstance(longest, float) or backoff <= longest:
            continue
        if "backoff" in retry:
            said = f"is longer than backoff_cap, which is {longest:g}s; pauses grow from backoff to backoff_cap"
            reader.complain((*trail, "retry", "backoff"), said)
        elif "backoff_cap" in retry:
            said = f"is shorter than backoff, which is {backoff:g}s; pauses grow from backoff to backoff_cap"
            reader.complain((*trail, "retry", "backoff_cap"), said)


def _levels(names: Names) -> Iterator[tuple[Trail, Any]]:
    yield ("defaults",), names.defaults
    for section in ("providers", "models", "pools"):
        for one, settings in getattr(names, section).items():
            yield (section, one), settings
    for index, route in names.routes:
        yield ("routes", index), route
