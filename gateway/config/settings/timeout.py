"""`timeout`: the five clocks of a request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from gateway.config.definitions import mapping_or_none, ref
from gateway.config.section import Setting

Clock = Literal["connect", "first_token", "answer", "idle", "total"]

DEFAULT_TIMEOUT: Final[Mapping[Clock, float | None]] = MappingProxyType(
    {"connect": 2.0, "first_token": 20.0, "answer": 300.0, "idle": 30.0, "total": 600.0}
)


def read_clocks(value: Any) -> Mapping[Clock, float | None]:
    """Return the clocks that one level sets; `none` as a whole switches each of them off."""
    return dict.fromkeys(DEFAULT_TIMEOUT) if value == "none" else value


TIMEOUT: Final = Setting(
    key="timeout",
    about="The five clocks, each overriding the level above; `none` switches all off.",
    schema=mapping_or_none(
        {
            "connect": ref("clock", "until a connection stands: DNS, TCP and TLS", default="2s"),
            "first_token": ref("clock", "streams: until the first content", default="20s"),
            "answer": ref("clock", "unstreamed: until the first byte of the answer's body", default="5m"),
            "idle": ref("clock", "longest silence within an answer", default="30s"),
            "total": ref("clock", "the whole request, every attempt included", default="10m"),
        },
        "The five clocks of a request; `none` switches one off, or all.",
    ),
    levels=("defaults", "provider", "model", "pool", "route", "path_route"),
)
