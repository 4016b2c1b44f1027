"""Which route passes a request through, and which paths none may."""

import pytest

from gateway.core.errors import MethodNotAllowed, NotFound
from gateway.core.exchange import ANYBODY, Principal
from gateway.core.reserved_paths import GATEWAY_PATHS
from gateway.routing.router import Router
from tests.support.replay import load_config

TEXT = """
version: 1
providers: {web: {kind: openai, url: "http://web.test/v1"}}
models: {m: {provider: web, price: {input: 1, output: 2}}}
let: {staff: 'labels.plan == "staff"'}
routes:
  - {name: chat, match: [m], to: m}
  - {name: staff, paths: [/v1/batches, "/v1/files*"], provider: web, when: staff}
  - {name: reading, paths: ["/v1/files/*"], provider: web, methods: [GET]}
  - {name: deleting, paths: ["/v1/files/*"], provider: web, methods: [DELETE, PATCH]}
  - {name: night, paths: [/v1/night], provider: web, when: 'now.hour < 6 && request.path == "/v1/night" && request.model == ""'}
  - {name: rest, paths: ["/v1/x*"], provider: web, when: 'headers["x-team"] != ""'}
"""
STAFF = Principal("acme", "00000000", {"plan": "staff"})


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(load_config(TEXT).spec)


def route(
    router: Router,
    path: str,
    method: str = "GET",
    who: Principal = ANYBODY,
    wall_s: float = 0.0,
    headers: dict[str, str] | None = None,
) -> str:
    return router.match_path(method, path, headers or {}, who, wall_s)


def test_the_first_that_covers_the_path_takes_the_method_and_holds_wins(router: Router) -> None:
    assert route(router, "/v1/files/a", who=STAFF) == "staff"
    assert route(router, "/v1/files/a") == "reading"
    assert route(router, "/v1/files/a/b/content", "HEAD") == "reading"
    assert route(router, "/v1/files/a", "DELETE") == "deleting"
    assert route(router, "/v1/files/a", "PATCH", STAFF) == "deleting"  # the first that holds does not take it


def test_conditions_read_path_headers_and_time(router: Router) -> None:
    assert route(router, "/v1/night", wall_s=5 * 3600) == "night"
    with pytest.raises(NotFound):
        route(router, "/v1/night", wall_s=7 * 3600)
    assert route(router, "/v1/xyz", headers={"x-team": "a"}) == "rest"


def test_a_path_whose_conditions_fail_is_not_there(router: Router) -> None:
    assert router.is_passthrough_path("/v1/batches")
    with pytest.raises(NotFound):
        route(router, "/v1/batches", "PATCH")


def test_a_path_that_takes_other_methods_names_all_that_it_takes(router: Router) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        route(router, "/v1/files/a", "POST")
    assert caught.value.allow == "GET, HEAD, DELETE, PATCH"


@pytest.mark.parametrize(
    "path",
    [
        *sorted(GATEWAY_PATHS),
        "/v1/models/m",
        "/v1/models/",
        "/v1/realtime",
        "/v1/realtime/sessions",
        "/v1/",
        "/v1//files",
        "/v1/files/",
        "/v1/files/../chat/completions",
        "/v1/..",
        "/v1/files/.",
        "/v1/files/%2e%2e",
        "/v1/files/a%2fb",
        "/v1/files/a;b",
        "/v1/files/a\\b",
        "/v1/files/a*",
        "/v1/files/é",
        "/v1/files/a b",
        "/v1/files/a\n",
        "/v2/files",
        "*",
        "",
    ],
)
def test_no_star_covers_what_is_ours_or_can_be_read_in_two_ways(path: str) -> None:
    text = TEXT + '  - {name: all, paths: ["/v1/*"], provider: web}\n'
    router = Router(load_config(text).spec)
    assert (
        router.is_passthrough_path("/v1/anything/else:1")
        and router.is_passthrough_path("/v1/realtimes")
        and router.is_passthrough_path("/v1/a..b/...")
    )
    assert not router.is_passthrough_path(path)
    with pytest.raises(NotFound):
        route(router, path)


def test_without_routes_for_paths_nothing_passes() -> None:
    router = Router(load_config(TEXT.partition("  - {name: staff")[0]).spec)
    assert not router.is_passthrough_path("/v1/files")
