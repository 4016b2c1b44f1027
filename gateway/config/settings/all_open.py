"""`all_open`: what happens while every breaker of a pool is open."""

from typing import Final

from gateway.config.section import Setting

ALL_OPEN: Final = Setting(
    key="all_open",
    about="While every breaker of a pool and its `then` is open: refuse, or try the endpoint whose breaker closes soonest.",
    schema={"enum": ["reject", "soonest"]},
    levels=("defaults", "pool"),
    default="reject",
)
