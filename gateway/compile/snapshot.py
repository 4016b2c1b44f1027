"""Compile a `Spec` into a `Snapshot`, which serves requests: the place where its parts are put together.

The steps have files of their own: the settings in force (`policies.py`), the endpoints (`targets.py`), the pools and
fallbacks of each route (`route_plans.py`).

`compile_snapshot` runs in a thread beside a loop that serves. So it makes new objects only; live objects change in
`runtime.services.activate`, on the loop, in one step.
"""

from collections.abc import Mapping

from gateway.accounting.prices import Price
from gateway.admission.auth import Auth
from gateway.compile.certificates import context_of
from gateway.compile.policies import EffectivePolicies
from gateway.compile.route_plans import RoutePlans
from gateway.compile.targets import Targets
from gateway.config.spec import Spec
from gateway.pools.directory import Directory
from gateway.routing.router import Router
from gateway.snapshot import Snapshot


def compile_snapshot(
    spec: Spec, generation: int, addresses: Mapping[str, str], directory: Directory, workers: int
) -> Snapshot:
    """Compile a `Spec`; live endpoints and pools are taken from `directory`, or made there. Safe in a thread.

    `addresses`: provider → address of its managed server (`unix:/path`). `workers`: how many share the limits.
    """
    settings = EffectivePolicies(spec, workers)
    targets = Targets(spec, settings, addresses, directory)
    plans = RoutePlans(spec, settings, targets, directory)
    router = Router(spec)
    return Snapshot(
        generation=generation,
        spec=spec,
        auth=Auth(spec.tenants),
        router=router,
        plans={match: plans.of(match) for match in router.all_matches()},
        prices={name: Price(model.price) for name, model in spec.models.items()},
        endpoints=targets.endpoints,
        pools=plans.pools,
        passthrough_plans={route.name: plans.of_path_route(route) for route in spec.path_routes},
        certificates=tuple(context_of(one) for one in spec.server.listen),
    )
