"""A provider's endpoint without a model: made from the configuration like any other, and kept like any other."""

from gateway.compile.passthrough import NO_MODEL
from gateway.compile.snapshot import compile_snapshot
from gateway.core.tasks import Tasks
from gateway.pools.route_plan import RoutePlan
from gateway.runtime.services import activate, build_services
from gateway.snapshot import Snapshot
from tests.support.clock import FakeClock
from tests.support.replay import load_config

TEXT = """
version: 1
providers:
  a: {kind: openai, urls: ["http://a.test/v1", "http://b.test/v1"], max_inflight: 4, timeout: {idle: 7s}, breaker: {failures: 2}}
  off: {kind: openai, key: ""}
models: {m: {provider: a, price: {input: 1, output: 2}}}
defaults: {hedge: {}, balance: round_robin, queue: {max: 3}}
routes:
  - {name: chat, match: [m], to: m}
  - {name: files, paths: ["/v1/files*"], provider: a, timeout: {total: 1h}, retry: {attempts: 9}}
  - {name: more, paths: [/v1/more], provider: a}
  - {name: nobody, paths: [/v1/nobody], provider: "off"}
"""


def compiled(text: str = TEXT) -> Snapshot:
    services = build_services(Tasks(), FakeClock())
    snapshot = compile_snapshot(load_config(text).spec, 1, {}, services.directory, workers=1)
    activate(services, snapshot)
    assert len(services.directory.identities()) == len(snapshot.endpoints)
    return snapshot


def path(name: str) -> RoutePlan:
    return compiled().passthrough_plans[name]


def test_there_is_an_endpoint_for_each_url_and_key_beside_those_of_models() -> None:
    ids = {endpoint.id for endpoint in compiled().endpoints}
    assert ids == {"a/m", "a/m#2", "a/-", "a/-#2"}


def test_settings_come_from_the_provider_and_the_route() -> None:
    (stage,) = path("files").stages
    assert (stage.pool, stage.hedge, stage.is_sticky, stage.is_limited) == ("a/-", None, False, True)
    for target in stage.targets:
        assert (target.timeouts.idle_s, target.timeouts.total_s, target.retry.attempts) == (7.0, 3600.0, 9)
        assert (target.model.name, target.provider_max_inflight) == (NO_MODEL, 4)
        assert "/v1/files/whatever" in target.bindings and list(target.bindings) == [] and len(target.bindings) == 0
        assert target.bindings.get("/v1/files") is None


def test_routes_to_one_provider_share_its_endpoints() -> None:
    snapshot = compiled()
    first, second = (snapshot.passthrough_plans[name].stages[0] for name in ("files", "more"))
    assert [one.endpoint for one in first.targets] == [one.endpoint for one in second.targets]
    assert second.targets[0].timeouts.total_s == 600.0


def test_a_provider_that_is_off_has_none() -> None:
    assert path("nobody").stages == ()


def test_nobody_passes_anything_without_a_route() -> None:
    snapshot = compiled(TEXT.partition("  - {name: files")[0])
    assert snapshot.passthrough_plans == {} and {endpoint.id for endpoint in snapshot.endpoints} == {"a/m", "a/m#2"}
