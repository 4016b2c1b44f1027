"""Which endpoints the operator has drained: by name, so that the list outlives workers and configurations."""

from collections.abc import Sequence

from gateway.pools.rotation import names_for
from gateway.runtime.bus import EndpointFigures


class UnknownName(Exception):
    """No endpoint answers to the name."""


class DrainedEndpoints:
    """The names of what is drained: endpoints, or providers for all that they have, now and after the next reload."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def add(self, name: str, known: Sequence[EndpointFigures]) -> list[str]:
        """Drain what `name` stands for among the `known`; gives these endpoints. Raises UnknownName."""
        meant = _meant(name, known)
        if not meant:
            raise UnknownName(name)
        self.names = tuple(dict.fromkeys((*self.names, name)))
        return [one.endpoint for one in meant]

    def remove(self, name: str, known: Sequence[EndpointFigures]) -> list[str]:
        """Let what `name` stands for take requests again; gives these endpoints. Raises UnknownName.

        Where that is only a part of what some other name drained, the rest of it stays drained, endpoint by endpoint.
        """
        freed = {one.endpoint for one in _meant(name, known)}
        if not freed and name not in self.names:
            raise UnknownName(name)
        left: list[str] = []
        for drained in self.names:
            meant = [one.endpoint for one in _meant(drained, known)]
            if drained == name or (meant and freed.issuperset(meant)):
                continue
            is_cut = not freed.isdisjoint(meant)
            left += [_alone(one) for one in meant if one not in freed] if is_cut else [drained]
        self.names = tuple(dict.fromkeys(left))
        return [one.endpoint for one in known if one.endpoint in freed]


def _meant(name: str, known: Sequence[EndpointFigures]) -> list[EndpointFigures]:
    return [one for one in known if name in names_for(one.endpoint, one.provider, one.model)]


def _alone(endpoint: str) -> str:
    """Give the name that means this endpoint and no sibling of it."""
    return endpoint if "#" in endpoint else f"{endpoint}#1"
