"""Configurations compiled for tests, and what is asked of them most."""

from gateway.compile.snapshot import compile_snapshot
from gateway.pools.directory import Directory
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.routing.router import Match
from gateway.runtime.cpus import worker_count
from gateway.snapshot import Snapshot
from tests.support.clock import FakeClock
from tests.support.replay import load_config

HEAD = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", key: "${A_KEY}"}
  b: {kind: openai, url: "http://b.test/v1"}
  off: {kind: openai, key: "${OFF_KEY:-}"}
models:
  a-1: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  a-2: {provider: a, id: other-name, price: {input: 1, output: 2}, quality: 0.5}
  b-1: {provider: b, price: {input: 3, output: 4}, quality: 0.5}
  b-2: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  gone: {provider: off, price: {input: 1, output: 2}, quality: 0.5}
  mock-*: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
"""
TEXT = (
    HEAD
    + """
pools:
  strong: {members: [gone, a-1, a-2], then: weak}
  weak: {members: [a-2, b-1], then: b-2}
routes:
  - {name: all, match: [auto], to: strong}
  - {name: direct, match: [a-2, b-1, gone, "mock-*"], to: requested}
"""
)
ENV = {"A_KEY": "k1"}

POOLS = """
version: 1
providers:
  a: {kind: openai, urls: ["http://a.test/v1", "http://a2.test/v1"], keys: ["k-1", "k-2"]}
  b: {kind: openai, url: "http://b.test/v1"}
  c: {kind: openai, url: "http://c.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  m-c: {provider: c, price: {input: 1, output: 2}, quality: 0.5}
pools:
  main: {members: [m-a, m-b]%s}
routes:
  - {name: all, match: [auto], to: main}
  - {name: direct, match: [m-a, m-b, m-c], to: requested}
"""


def compiled(text: str, clock: FakeClock) -> Snapshot:
    """Compile a configuration that nothing is alive of yet."""
    spec = load_config(text, ENV).spec
    return compile_snapshot(spec, 1, {}, Directory(clock), worker_count(spec.server.workers))


def pool_order(path: RoutePlan) -> list[tuple[str, list[str]]]:
    """Give the pools of a path, and the models of each, in the order in which they are asked."""
    return [(stage.pool, [target.model.name for target in stage.targets]) for stage in path.stages]


def first_stage(text: str, clock: FakeClock, match: Match | None = None) -> PoolStage:
    """Give the pool that is asked first."""
    return compiled(text, clock).plans[match or Match("all", "main")].stages[0]
