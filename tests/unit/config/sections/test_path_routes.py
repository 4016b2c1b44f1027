"""Routes for paths: what they take, and what is said of those that make no sense."""

from time import monotonic
from typing import Any

import pytest

from gateway.config.spec import PathRouteSpec
from gateway.core.reserved_paths import GATEWAY_PATHS
from gateway.dialects import BY_PATH
from tests.unit.config.conftest import Files, config

FORM = "must be a path below /v1/, in which * stands for any text, such as /v1/files or /v1/images/* (got "
OWN_PATH = "the gateway serves this path itself; what is asked there goes by `match`"
REALTIME = "realtime (WebSocket) is not proxied; such a path can't be passed through"
HINT = "; put this route before it, or give that one a `when`"
OTHER_FORM = "belongs to routes with `match` and `to`; this one has `paths`, and passes them to its `provider`"


def routes(*items: str) -> str:
    return config(routes=f"routes: [{', '.join(f'{{{item}}}' for item in items)}]")


def path_routes(files: Files, *items: str) -> tuple[PathRouteSpec, ...]:
    return files.load(routes(*items)).spec.path_routes


def test_a_route_for_paths_stands_apart_from_those_for_names(files: Files) -> None:
    spec = files.load(
        routes(
            "name: r, match: [auto], to: m",
            "name: f, paths: [/v1/files, '/v1/files/*'], provider: sim, methods: [GET, PUT], timeout: {total: 1h}",
            "name: g, paths: [/v1/rerank], provider: sim, when: 'tenant == \"a\"'",
        )
    ).spec
    assert [one.name for one in spec.routes] == ["r"]
    files_route, ranking = spec.path_routes
    assert (files_route.paths, files_route.provider) == (("/v1/files", "/v1/files/*"), "sim")
    assert (files_route.methods, files_route.policy.timeout) == (("GET", "PUT"), {"total": 3600.0})
    assert (ranking.methods, ranking.when) == (("GET", "POST", "DELETE"), 'tenant == "a"')
    assert ranking.place.line == 4


def test_the_limit_of_uploads_is_a_size(files: Files) -> None:
    assert files.load(config()).spec.server.limits.upload == 512 * 2**20
    assert files.load(config(server="server: {limits: {upload: 2GiB}}")).spec.server.limits.upload == 2 * 2**30


def test_whatever_the_gateway_serves_is_never_passed_through() -> None:
    assert set(BY_PATH) <= GATEWAY_PATHS


@pytest.mark.parametrize(
    ("items", "errors"),
    [
        (["name: f, paths: [/v1/files], provider: swim"], ['routes[0].provider: there is no provider "swim"; did you mean "sim"?']),
        (["name: f, paths: [/v1/files]"], ["routes[0].provider: is missing (in place of `to`: the provider that these paths are passed to)"]),
        (["name: f, paths: [], provider: sim"], ["routes[0].paths: must not be empty; give at least one"]),
        (["name: f, paths: [/v1/a, /v1/a], provider: sim"], ['routes[0].paths: lists "/v1/a" twice']),
        (["name: f, paths: /v1/a, provider: sim"], ['routes[0].paths: must be a list (got "/v1/a")']),
        (
            ["name: f, paths: [/v1/a], provider: sim, match: [x], to: m"],
            [f"routes[0].match: {OTHER_FORM}", f"routes[0].to: {OTHER_FORM}"],
        ),
        (["name: f, paths: [/v1/a], provider: sim, hedge: none"], [f"routes[0].hedge: {OTHER_FORM}"]),
        (
            ["name: f, match: [x], to: m, provider: sim, methods: [GET]"],
            [
                "routes[0].provider: belongs to routes with `paths`; this one has none",
                "routes[0].methods: belongs to routes with `paths`; this one has none",
            ],
        ),
        (
            ["name: f"],
            [
                "routes[0].match: is missing (names that clients ask for; * stands for any text)",
                "routes[0].to: is missing (a pool, a model, or `requested`: the model that was asked for)",
            ],
        ),
        (
            ["name: f, paths: [/v1/a], provider: sim, methods: [get]"],
            ['routes[0].methods[0]: must be GET, POST, PUT, PATCH or DELETE (got "get"); did you mean "GET"?'],
        ),
        (["name: f, paths: [/v1/a], provider: sim, methods: []"], ["routes[0].methods: must not be empty; give at least one"]),
        *(
            ([f"name: f, paths: ['{path}'], provider: sim"], [f'routes[0].paths[0]: {FORM}"{path}")'])
            for path in ("/v2/a", "v1/a", "/v1", "/v1/", "/v1//a", "/v1/a/", "/v1/../a", "/v1/./a", "/v1/%61", "/v1/a?b", "/v1/a b")
        ),
        *(([f"name: f, paths: [{path}], provider: sim"], [f"routes[0].paths[0]: {OWN_PATH}"]) for path in sorted(GATEWAY_PATHS)),
        (["name: f, paths: ['/v1/models/*'], provider: sim"], [f"routes[0].paths[0]: {OWN_PATH}"]),
        *(
            ([f"name: f, paths: ['{path}'], provider: sim"], [f"routes[0].paths[0]: {REALTIME}"])
            for path in ("/v1/realtime", "/v1/realtime/*", "/v1/realtime/sessions", "/v1/realtime*")
        ),
        (
            ["name: f, paths: ['/v1/fi*', /v1/b], provider: sim", "name: g, paths: [/v1/files, /v1/b], provider: sim"],
            [f'routes[1]: can never be reached: all of its paths go to routes[0] "f"{HINT}'],
        ),
        (
            [
                "name: f, paths: [/v1/a], provider: sim",
                "name: g, paths: [/v1/b], provider: sim",
                "name: h, paths: [/v1/b, /v1/a], provider: sim, methods: [POST]",
            ],
            [f'routes[2]: can never be reached: all of its paths go to routes[0] "f" and routes[1] "g"{HINT}'],
        ),
        (
            ["name: f, paths: [/v1/a], provider: sim, when: 'tenant == \"x\"'", "name: g, paths: [/v1/a], provider: sim, when: 'tenant ==  \"x\"'"],
            [f'routes[1]: can never be reached: all of its paths go to routes[0] "f"{HINT}'],
        ),
        (
            ["name: f, match: [auto], to: m", "name: f, paths: [/v1/a], provider: sim"],
            ["routes[1].name: routes[0] has this name already"],
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told(items: list[str], errors: list[str], files: Files) -> None:
    told = files.errors(routes(*items))
    assert [one.partition(": ")[2] for one in told] == errors
    assert all(one.startswith("4:") for one in told)


@pytest.mark.parametrize(
    "items",
    [
        ["paths: [/v1/a], methods: [GET]", "paths: [/v1/a]"],
        ["paths: [/v1/a], when: 'tenant == \"x\"'", "paths: [/v1/a]"],
        ["paths: [/v1/a]", "paths: ['/v1/*']"],
        ["paths: ['/v1/*']"],  # what the gateway serves itself comes first, whatever a star covers
        ["paths: ['/v1/realtim*']"],
    ],
)
def test_what_leads_somewhere_is_fine(items: list[str], files: Files) -> None:
    named = [f"name: r{index}, provider: sim, {item}" for index, item in enumerate(items)]
    assert len(path_routes(files, *named)) == len(items)


def test_a_provider_that_is_off_is_no_error_of_its_routes(files: Files) -> None:
    assert path_routes(files, "name: f, paths: [/v1/a], provider: web")[0].provider == "web"


def test_conditions_are_judged_with_their_place(files: Files) -> None:
    (told,) = files.errors(routes("name: f, paths: [/v1/a], provider: sim, when: 'request.path == 1'"))
    assert told.startswith("4:71: routes[0].when: ")


def test_many_routes_take_no_time(files: Files) -> None:
    many: list[Any] = [f"name: r{index}, paths: [/v1/a{index}], provider: sim" for index in range(500)]
    began = monotonic()
    assert len(path_routes(files, *many)) == 500
    assert monotonic() - began < 10
