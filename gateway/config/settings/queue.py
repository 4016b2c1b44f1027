"""`max_inflight` and `queue`: how many requests run at the same time, and which of the others wait."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.config import units
from gateway.config.definitions import Schema, mapping_or_none, ref
from gateway.config.names import Names, members_of
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """While a pool is full, at most `max` requests wait, each for `wait_s` at most, in turns by `fair_by`."""

    max: int = 100
    wait_s: float = 2.0
    fair_by: Literal["tenant", "key", "none"] = "tenant"


def cap(description: str) -> Schema:
    """Return the schema of a `max_inflight` that no level overrides: that of a provider, a model or a member."""
    return ref("max_inflight", description, default="none")


def check_queues(reader: Reader, names: Names) -> None:
    """Warn of a queue that can't fill, since nothing bounds the requests that run."""
    for pool, settings in names.pools.items():
        if isinstance(settings, dict):
            _check_queue(reader, names, ("pools", pool), settings)


def _check_queue(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    if not isinstance(settings.get("queue"), dict):
        return
    if settings.get("max_inflight", names.defaults.get("max_inflight")) is not None:
        return
    for index, model in members_of(settings):
        provider = names.providers.get(names.provider_of(model) or "")
        levels = (settings["members"][index], names.models.get(model), provider)
        if all(not isinstance(one, dict) or one.get("max_inflight") is None for one in levels):
            message = (
                f"would never fill: neither the pool nor its member {name(model)} has a max_inflight; give the pool one"
            )
            reader.warn((*trail, "queue"), message)
            return


_ABOUT: Final = "Who waits while a pool serves its `max_inflight`; `none`: nobody."

QUEUE: Final = Setting(
    key="queue",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "max": ref("count", "requests that may wait", default=100),
            "wait": ref("positive_duration", "how long each may wait", default="2s"),
            "fair_by": {
                "enum": ["tenant", "key", "none"],
                "default": "tenant",
                "description": "who take turns; `none`: first come, first served",
            },
        },
        _ABOUT,
    ),
    levels=("defaults", "pool"),
    spec=QueueSpec,
    checks=(check_queues,),
)

MAX_INFLIGHT: Final = Setting(
    key="max_inflight",
    about="Requests that a pool serves at the same time; `none`: any number.",
    schema={
        "type": ["integer", "string"],
        "minimum": 1,
        "pattern": units.CAP,
        "title": "a count, or none",
        "examples": [8, 200, "none"],
    },
    levels=("defaults", "pool"),
    default="none",
)
