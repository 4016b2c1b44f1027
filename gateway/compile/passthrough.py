"""Pass-through requests: a provider's other paths (files, audio, …) as an endpoint with breaker, keys and limits.

Such an endpoint has no model, and its price is 0. The usage in a response is charged by the model that the response names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from gateway.config.spec import ModelSpec, PriceSpec
from gateway.pools.route_plan import PoolStage
from gateway.pools.target import DialectBinding

NO_MODEL: Final = "-"  # in the ids of endpoints: "local/-"
PASSTHROUGH_PREFIX: Final = "-"  # with a provider's name behind it the key of this model; no configured name begins so


class _EveryPath(Mapping[str, DialectBinding]):
    """Contains every path, so that routes alone decide what reaches a provider, but holds no binding for any."""

    def __contains__(self, path: object) -> bool:
        return True

    def __getitem__(self, path: str) -> DialectBinding:
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def passthrough_model(provider: str) -> ModelSpec:
    """Return the placeholder for the model in pass-through requests to a provider."""
    return ModelSpec(NO_MODEL, provider, NO_MODEL, PriceSpec(0, 0), quality=0.0)


def to_passthrough(stage: PoolStage) -> PoolStage:
    """Return the stage for requests that are not read: its endpoints take any path, without hedging or stickiness."""
    bindings = _EveryPath()
    targets = tuple(replace(target, bindings=bindings) for target in stage.targets)
    return replace(stage, targets=targets, hedge=None, is_sticky=False)
