"""The configuration as written: checked, its units read, its references known to exist; nothing compiled.

Plain frozen values all the way down, so that `msgspec.msgpack` carries a `Spec` from control to workers.
Durations are seconds, sizes bytes, prices picodollars per token. A clock of `None` is switched off.

Each dataclass is defined beside the schema and the reader of its section (`sections/`) or setting (`settings/`); this file
is the place to import them from, and defines the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.address import Listen, TlsSpec
from gateway.config.proxies import ProxySpec
from gateway.config.sections.checks import CheckSpec
from gateway.config.sections.models import ModelSpec, PriceSpec
from gateway.config.sections.observe import LogSpec
from gateway.config.sections.pools import MemberSpec, PoolSpec
from gateway.config.sections.providers.spec import ClientTlsSpec, ProviderSpec
from gateway.config.sections.routes.spec import Method, PathRouteSpec, RouteSpec
from gateway.config.sections.server.spec import AdminSpec, DrainSpec, LimitsSpec, ServerSpec
from gateway.config.sections.tenants import Priority, TenantSpec
from gateway.config.settings import Policy
from gateway.config.settings.balance import Balance
from gateway.config.settings.batch import BatchSpec
from gateway.config.settings.breaker import BreakerSpec
from gateway.config.settings.health import HealthSpec
from gateway.config.settings.hedge import HedgeSpec
from gateway.config.settings.keepalive import KeepaliveSpec
from gateway.config.settings.queue import QueueSpec
from gateway.config.settings.retry import RetrySpec
from gateway.config.settings.timeout import Clock

__all__ = [
    "AdminSpec",
    "Balance",
    "BatchSpec",
    "BreakerSpec",
    "CheckSpec",
    "ClientTlsSpec",
    "Clock",
    "DrainSpec",
    "HealthSpec",
    "HedgeSpec",
    "KeepaliveSpec",
    "LimitsSpec",
    "Listen",
    "LogSpec",
    "MemberSpec",
    "Method",
    "ModelSpec",
    "PathRouteSpec",
    "Policy",
    "PoolSpec",
    "PriceSpec",
    "Priority",
    "ProviderSpec",
    "ProxySpec",
    "QueueSpec",
    "RetrySpec",
    "RouteSpec",
    "ServerSpec",
    "Spec",
    "TenantSpec",
    "TlsSpec",
]


@dataclass(frozen=True, slots=True)
class Spec:
    """One whole configuration. Mappings are in the order of the file."""

    server: ServerSpec
    state_dir: str  # absolute
    providers: Mapping[str, ProviderSpec]
    models: Mapping[str, ModelSpec]
    pools: Mapping[str, PoolSpec]
    defaults: Policy
    lets: Mapping[str, str]
    routes: tuple[RouteSpec, ...]
    tenants: Mapping[str, TenantSpec]
    log: LogSpec
    checks: tuple[CheckSpec, ...]
    digest: str  # SHA-256 over the files as read
    path_routes: tuple[PathRouteSpec, ...] = ()
