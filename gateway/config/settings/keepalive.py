"""`keepalive`: comments in streams that are silent."""

from dataclasses import dataclass
from typing import Final

from gateway.config.definitions import mapping_or_none, ref
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class KeepaliveSpec:
    """Comments sent while a stream is silent; `early` sends them before the first content too (and so commits the 200)."""

    every_s: float = 15.0
    early: bool = False


_ABOUT: Final = "Comments in streams that are silent; `none`: no comments."

KEEPALIVE: Final = Setting(
    key="keepalive",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "every": ref("positive_duration", "silence of a stream after which a comment is sent", default="15s"),
            "early": {
                "type": "boolean",
                "default": False,
                "description": "send comments before the first content too; this commits status 200, so failover ends",
            },
        },
        _ABOUT,
    ),
    levels=("defaults", "provider", "model", "pool", "route"),
    spec=KeepaliveSpec,
)
