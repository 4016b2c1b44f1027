"""`all_open`: what happens while every breaker of a pool is open."""

from typing import Final

from gateway.config.section import Setting

ALL_OPEN: Final = Setting(
    key="all_open",
    about="Where every breaker of a pool and its `then` is open: refuse, or ask who is to rest least longer.",
    schema={"enum": ["reject", "soonest"]},
    levels=("defaults", "pool"),
    default="reject",
)
