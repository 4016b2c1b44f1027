"""Compile routes: from a route and a goal to pools, and from pools to targets."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gateway.compile.passthrough import NO_MODEL, PASSTHROUGH_PREFIX, to_passthrough
from gateway.compile.policies import EffectivePolicies, least, models_of
from gateway.compile.targets import Targets
from gateway.config.spec import MemberSpec, PathRouteSpec, Policy, PoolSpec, Spec
from gateway.core.exchange import Decision
from gateway.pools.balancers.base import BALANCERS
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.target import Target
from gateway.routing.router import Match
from gateway.snapshot import PoolSettings


class RoutePlans:
    """Makes the route plans of one configuration. `pools`: every pool that a plan uses, with its settings."""

    def __init__(self, spec: Spec, settings: EffectivePolicies, targets: Targets, directory: Directory) -> None:
        self.pools: dict[str, PoolSettings] = {}
        self._spec = spec
        self._settings = settings
        self._targets = targets
        self._directory = directory
        self._routes = {route.name: route for route in spec.routes}
        self._rng = random.Random()

    def of(self, match: Match) -> RoutePlan:
        """Return the plan of one route for one goal: the stage of the goal, then its fallbacks."""
        route = self._routes[match.route]
        policy = route.policy
        stages = tuple(_once(self._stages(match, policy)))
        # Keepalive comments may have to be sent before an endpoint is chosen: the settings of the first one hold.
        keepalive = (
            self._settings.of_model(stages[0].targets[0].model, stages[0].pool, policy).keepalive if stages else None
        )
        return RoutePlan(
            stages=stages,
            decision=Decision(
                match.route,
                match.goal,
                pool=stages[0].pool if stages else "",
                reasons=(
                    f"its match {list(route.match)} covers the model",
                    *([f"its condition holds: {route.when}"] if route.when else []),
                ),
            ),
            keepalive_s=None if keepalive is None else keepalive.every_s,
            early_keepalive=keepalive is not None and keepalive.early,
        )

    def of_path_route(self, route: PathRouteSpec) -> RoutePlan:
        """Return the plan of a pass-through route: one provider, for every path."""
        stages = self._stage(
            f"{route.provider}/{NO_MODEL}", [MemberSpec(PASSTHROUGH_PREFIX + route.provider)], route.policy
        )
        plan = tuple(to_passthrough(stage) for stage in stages)
        return RoutePlan(plan, Decision(route.name, route.provider, plan[0].pool if plan else ""))

    def _pool_of(self, goal: str) -> PoolSpec | None:
        """Return the pool that a goal names, or the first that lists it as a member."""
        pools = self._spec.pools
        return pools.get(goal) or next((pool for pool in pools.values() if goal in models_of(pool)), None)

    def _stages(self, match: Match, policy: Policy) -> Iterator[PoolStage]:
        pool, goal = self._pool_of(match.goal), match.goal
        if pool is None:
            yield from self._stage(goal, [MemberSpec(goal)], policy)
            return
        members = list(pool.members)
        if goal != pool.name:  # the requested model comes first, the other members of its pool are fallbacks
            first = min(member.priority for member in members) - 1
            members = [replace(one, priority=first) if one.model == goal else one for one in members]
        yield from self._stage(pool.name, members, policy)
        then = pool.then
        while then is not None:
            following = self._spec.pools.get(then)
            yield from self._stage(then, [MemberSpec(then)] if following is None else list(following.members), policy)
            then = following.then if following is not None else None

    def _stage(self, pool: str, members: list[MemberSpec], policy: Policy) -> Iterator[PoolStage]:
        """Yield the stage of a pool, or nothing where all its providers are off."""
        targets = [target for member in members for target in self._targets.of(member, pool, policy)]
        if not targets:
            return
        targets.sort(key=lambda target: target.priority)
        policies = self._settings.of_pool(pool, policy)
        max_inflight = least(self._settings.share(policies.max_inflight), _room(targets))
        self.pools.setdefault(pool, PoolSettings(max_inflight, policies.queue))
        yield PoolStage(
            pool=pool,
            targets=tuple(targets),
            balancer=BALANCERS[policies.balance](targets, self._rng),
            state=self._directory.pool(pool),
            is_limited=max_inflight is not None,
            is_sticky=policies.sticky is not None,
            affinity=policies.hash_by if policies.balance == "consistent_hash" else policies.sticky or "",
            hedge=policies.hedge if len(targets) > 1 else None,
            all_open=policies.all_open,
        )


def _room(targets: Sequence[Target]) -> int | None:
    """Return how many requests can run at these targets together; None without a limit."""
    providers: dict[str, list[Target]] = {}
    for target in targets:
        providers.setdefault(target.endpoint.provider, []).append(target)
    room = 0
    for members in providers.values():
        alone = [target.max_inflight for target in members]
        together = None if None in alone else sum(limit for limit in alone if limit is not None)
        limit = least(together, members[0].provider_max_inflight)
        if limit is None:
            return None
        room += limit
    return room


def _once(stages: Iterator[PoolStage]) -> Iterator[PoolStage]:
    """Yield the stages with each endpoint in its first stage only: a fallback pool has to offer other endpoints."""
    seen: set[Endpoint] = set()
    for stage in stages:
        targets = tuple(target for target in stage.targets if target.endpoint not in seen)
        seen.update(target.endpoint for target in targets)
        if targets:
            yield replace(stage, targets=targets) if len(targets) < len(stage.targets) else stage
