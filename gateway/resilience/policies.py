"""The settings that hold for a request, merged from the levels at which they may be set."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from gateway.config.spec import (
    Balance,
    BatchSpec,
    BreakerSpec,
    HedgeSpec,
    KeepaliveSpec,
    Policy,
    QueueSpec,
    RetrySpec,
)
from gateway.resilience.timeouts import Timeouts, merge_timeouts

NO_RETRY: Final = RetrySpec(attempts=1, when=())


@dataclass(frozen=True, slots=True)
class Policies:
    """The merged settings; None is switched off. The defaults hold where no level sets a value."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    breaker: BreakerSpec | None = field(default_factory=BreakerSpec)
    keepalive: KeepaliveSpec | None = field(default_factory=KeepaliveSpec)
    retry: RetrySpec | None = field(default_factory=RetrySpec)
    drop_params: bool = False
    batch: BatchSpec | None = None
    hedge: HedgeSpec | None = None
    queue: QueueSpec | None = field(default_factory=QueueSpec)
    max_inflight: int | None = None
    balance: Balance = "in_order"
    hash_by: str = "conversation"
    sticky: Literal["conversation"] | None = None
    all_open: Literal["reject", "soonest"] = "reject"


_SPECS: Final[Mapping[str, type[Any]]] = {
    "breaker": BreakerSpec,
    "keepalive": KeepaliveSpec,
    "retry": RetrySpec,
    "batch": BatchSpec,
    "hedge": HedgeSpec,
    "queue": QueueSpec,
}


def merge(*levels: Policy) -> Policies:
    """Return the settings that hold under `levels`, the most general first: for each field the last level that names it wins.

    `none` switches a policy off; a later level that names fields of it switches it on again, with built-in values for the rest.
    """
    merged: dict[str, Any] = {}
    for level in levels:
        for name, setting in level.given.items():
            kind = _SPECS.get(name)
            if kind is None or setting is None:
                merged[name] = setting
            else:
                before = merged.get(name, getattr(Policies(), name))
                fields = {key: tuple(value) if isinstance(value, list) else value for key, value in setting.items()}
                merged[name] = kind(**fields) if before is None else replace(before, **fields)
    return Policies(timeouts=merge_timeouts(*(level.timeout for level in levels)), **merged)
