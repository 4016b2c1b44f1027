"""`balance`, `hash_by` and `sticky`: which endpoint of a pool is asked first."""

from typing import Any, Final, Literal, get_args

from gateway.config import units
from gateway.config.messages import one_of
from gateway.config.names import Names, members_of
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import Setting

Balance = Literal["in_order", "round_robin", "weighted", "least_inflight", "p2c", "ewma", "cheapest", "consistent_hash"]

BY_WEIGHT: Final = ("weighted", "least_inflight", "p2c", "cheapest", "consistent_hash")
"""The strategies that use a member's weight; a test compares them with the balancers."""


def check_balance(reader: Reader, names: Names) -> None:
    """Warn of weights that the strategy does not use, and of a `hash_by` without effect."""
    for pool, settings in names.pools.items():
        if isinstance(settings, dict):
            _check_pool(reader, names, ("pools", pool), settings)


def _check_pool(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    balance = settings.get("balance", names.defaults.get("balance", "in_order"))
    if not isinstance(balance, str):
        return
    if balance not in BY_WEIGHT:
        for index, _ in members_of(settings):
            member = settings["members"][index]
            if isinstance(member, dict) and member.get("weight", 1) != 1:
                message = f"has no effect: balance is {balance}, and weights count in {one_of(BY_WEIGHT)}"
                reader.warn((*trail, "members", index, "weight"), message)
                break
    if "hash_by" in settings and "sticky" in settings:
        if settings["hash_by"] != settings["sticky"]:
            message = f"has no effect: sticky keeps requests together by {settings['sticky']} already; give one of them"
            reader.warn((*trail, "hash_by"), message)
    elif "hash_by" in settings and balance != "consistent_hash":
        reader.warn((*trail, "hash_by"), f"has no effect: balance is {balance}, and it is for consistent_hash")


BALANCE: Final = Setting(
    key="balance",
    about="Who of a pool is asked first.",
    schema={"enum": list(get_args(Balance))},
    levels=("defaults", "pool"),
    default="in_order",
    checks=(check_balance,),
)

HASH_BY: Final = Setting(
    key="hash_by",
    about="What a request is kept together by, for `consistent_hash`.",
    schema={
        "type": "string",
        "pattern": units.HASH_BY,
        "title": "conversation, tenant or header:NAME",
        "examples": ["conversation", "tenant", "header:x-session"],
    },
    levels=("pool",),
    default="conversation",
)

STICKY: Final = Setting(
    key="sticky",
    about="Ask the endpoint again that answered this conversation before, while it can be asked.",
    schema={"enum": ["conversation"]},
    levels=("pool",),
)
