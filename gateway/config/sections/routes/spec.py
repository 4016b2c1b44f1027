"""What `routes` holds."""

from dataclasses import dataclass
from typing import Literal

from gateway.config.nodes import NOWHERE
from gateway.config.settings import EMPTY_POLICY, Policy
from gateway.core.problem import Place

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """The first route whose `match` and `when` hold wins. `to` is `requested`, or the name of a pool or model."""

    name: str
    match: tuple[str, ...]  # names and globs
    to: str
    when: str | None = None  # CEL, names of `let` not yet put in
    policy: Policy = EMPTY_POLICY
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class PathRouteSpec:
    """A route for paths that the gateway does not serve itself: they are passed through to `provider`. The first that fits wins."""

    name: str
    paths: tuple[str, ...]  # as they are, or with * for any text, slashes included
    provider: str
    methods: tuple[Method, ...] = ("GET", "POST", "DELETE")
    when: str | None = None
    policy: Policy = EMPTY_POLICY
    place: Place = NOWHERE
