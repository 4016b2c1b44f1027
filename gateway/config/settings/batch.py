"""`batch`: small embedding requests gathered into one upstream request."""

from dataclasses import dataclass
from typing import Final

from gateway.config.definitions import mapping_or_none, ref
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """At most `max` inputs go into one upstream request; the first of them waits `wait_s` at most."""

    max: int = 64
    wait_s: float = 0.01


_ABOUT: Final = "Small calls for embeddings gathered into one; `none`: each goes alone."

BATCH: Final = Setting(
    key="batch",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "max": {
                "type": "integer",
                "minimum": 2,
                "maximum": 256,
                "default": 64,
                "description": "inputs of one upstream call; who brings as many goes alone",
            },
            "wait": ref("positive_duration", "how long the first waits for others", default="10ms"),
        },
        _ABOUT,
    ),
    levels=("defaults", "provider", "model"),
    spec=BatchSpec,
)
