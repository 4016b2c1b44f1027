"""What a provider does beside its models, as an endpoint like any other: with a breaker, keys, bounds, and no name.

Its price is 0. What an answer says it used is charged by the model that the answer names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from gateway.config.spec import ModelSpec, PriceSpec
from gateway.pools.route_plan import PoolStage
from gateway.pools.target import DialectBinding

NO_MODEL: Final = "-"  # in the ids of endpoints: "local/-"
NAMELESS: Final = "-"  # with a provider behind it the key of this model; no name of the configuration begins so


class _AnyPath(Mapping[str, DialectBinding]):
    """Holds every path, so that routes alone decide what a provider is asked; gives a way to none."""

    def __contains__(self, path: object) -> bool:
        return True

    def __getitem__(self, path: str) -> DialectBinding:
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def nameless(provider: str) -> ModelSpec:
    """Give what stands for the model where a provider is asked for anything else."""
    return ModelSpec(NO_MODEL, provider, NO_MODEL, PriceSpec(0, 0), quality=0.0)


def to_any_path(stage: PoolStage) -> PoolStage:
    """Give a hop for requests that are not read: its endpoints take any path, and nobody is asked beside another."""
    bindings = _AnyPath()
    targets = tuple(replace(target, bindings=bindings) for target in stage.targets)
    return replace(stage, targets=targets, hedge=None, is_sticky=False)
