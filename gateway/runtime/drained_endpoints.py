"""The endpoints that the operator has drained: by name, so that the list outlives workers and configurations."""

from collections.abc import Sequence

from gateway.pools.rotation import names_for
from gateway.runtime.messages import EndpointStatus


class UnknownName(Exception):
    """No endpoint has this name."""


class DrainedEndpoints:
    """The drained names: of endpoints, or of providers for all of their endpoints, now and after the next reload."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def add(self, name: str, known: Sequence[EndpointStatus]) -> list[str]:
        """Drain the endpoints of `name` among the `known`, and return them. Raise UnknownName."""
        matching = _matching(name, known)
        if not matching:
            raise UnknownName(name)
        self.names = tuple(dict.fromkeys((*self.names, name)))
        return [one.endpoint for one in matching]

    def remove(self, name: str, known: Sequence[EndpointStatus]) -> list[str]:
        """Enable the endpoints of `name` again, and return them. Raise UnknownName.

        Where they are only a part of those drained by another name, the rest stays drained, endpoint by endpoint.
        """
        freed = {one.endpoint for one in _matching(name, known)}
        if not freed and name not in self.names:
            raise UnknownName(name)
        left: list[str] = []
        for drained in self.names:
            matching = [one.endpoint for one in _matching(drained, known)]
            if drained == name or (matching and freed.issuperset(matching)):
                continue
            is_cut = not freed.isdisjoint(matching)
            left += [_exact_name(one) for one in matching if one not in freed] if is_cut else [drained]
        self.names = tuple(dict.fromkeys(left))
        return [one.endpoint for one in known if one.endpoint in freed]


def _matching(name: str, known: Sequence[EndpointStatus]) -> list[EndpointStatus]:
    return [one for one in known if name in names_for(one.endpoint, one.provider, one.model)]


def _exact_name(endpoint: str) -> str:
    """Return the name of this endpoint alone, without its siblings."""
    return endpoint if "#" in endpoint else f"{endpoint}#1"
