"""The section `routes`."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config.nodes import place_of
from gateway.config.section import ReadContext, Section, Values
from gateway.config.sections.routes.checks import check_routes
from gateway.config.sections.routes.path_checks import DEFAULT_METHODS, check_paths
from gateway.config.sections.routes.schema import refusal, routes_schema
from gateway.config.sections.routes.spec import PathRouteSpec, RouteSpec
from gateway.config.settings import read_policy
from gateway.core.problem import Place


def _read(context: ReadContext) -> Mapping[str, Any]:
    placed = [(given, place_of(context.root, ("routes", i))) for i, given in enumerate(context.values["routes"])]
    return {
        "routes": tuple(_route(given, place) for given, place in placed if "match" in given),
        "path_routes": tuple(_path_route(given, place) for given, place in placed if "paths" in given),
    }


def _route(given: Values, place: Place) -> RouteSpec:
    return RouteSpec(
        name=given["name"],
        match=tuple(given["match"]),
        to=given["to"],
        when=given.get("when"),
        policy=read_policy(given, "route"),
        place=place,
    )


def _path_route(given: Values, place: Place) -> PathRouteSpec:
    return PathRouteSpec(
        name=given["name"],
        paths=tuple(given["paths"]),
        provider=given["provider"],
        methods=tuple(given.get("methods", DEFAULT_METHODS)),
        when=given.get("when"),
        policy=read_policy(given, "path_route"),
        place=place,
    )


ROUTES: Final = Section(
    key="routes",
    schema=routes_schema,
    read=_read,
    checks=(check_routes, check_paths),
    refusal=refusal,
    is_required=True,
)
