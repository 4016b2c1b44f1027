"""The settings that may stand at several levels: one file each (schema, dataclass, levels, checks), listed in `SETTINGS`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.config.definitions import Schema, ref
from gateway.config.levels import Level
from gateway.config.section import Setting, Values
from gateway.config.settings.all_open import ALL_OPEN
from gateway.config.settings.balance import BALANCE, HASH_BY, STICKY
from gateway.config.settings.batch import BATCH
from gateway.config.settings.breaker import BREAKER
from gateway.config.settings.drop_params import DROP_PARAMS
from gateway.config.settings.health import HEALTH
from gateway.config.settings.hedge import HEDGE
from gateway.config.settings.keepalive import KEEPALIVE
from gateway.config.settings.queue import MAX_INFLIGHT, QUEUE
from gateway.config.settings.retry import RETRY
from gateway.config.settings.timeout import TIMEOUT, Clock, read_clocks

SETTINGS: Final[tuple[Setting, ...]] = (
    TIMEOUT,
    BREAKER,
    KEEPALIVE,
    RETRY,
    DROP_PARAMS,
    BATCH,
    HEDGE,
    BALANCE,
    HASH_BY,
    STICKY,
    MAX_INFLIGHT,
    QUEUE,
    HEALTH,
    ALL_OPEN,
)
"""In the order in which the schema lists them at each level."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one level, as far as that level sets them.

    Merged defaults < provider < model < pool < route by `resilience.policies`, field by field. `given` holds every setting
    but `timeout`: a mapping as the fields of its dataclass that the level names, or None for `none`; others as they are.
    """

    timeout: Mapping[Clock, float | None] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


EMPTY_POLICY: Final = Policy()


def settings_at(level: Level) -> Schema:
    """Return the properties that settings put at a level."""
    return {
        setting.key: ref(
            setting.key,
            setting.about,
            **({"default": setting.default} if setting.default is not None and setting.levels[0] == level else {}),
        )
        for setting in SETTINGS
        if level in setting.levels
    }


def setting_definitions() -> Schema:
    """Return the entry of each setting in `$defs`."""
    return {setting.key: setting.schema for setting in SETTINGS}


def read_policy(given: Values, level: Level) -> Policy:
    """Return what one level sets."""
    return Policy(
        timeout=read_clocks(given.get(TIMEOUT.key, {})),
        given={
            setting.key: setting.read(given[setting.key])
            for setting in SETTINGS
            if level in setting.levels and setting.key in given and setting is not TIMEOUT
        },
    )
