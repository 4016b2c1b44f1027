"""The list of the language's sections, and `Spec`: the configuration as written, checked, its units read; nothing compiled.

Plain frozen values all the way down, so that `msgspec.msgpack` carries a `Spec` from control to workers.
Durations are seconds, sizes bytes, prices picodollars per token. A clock of `None` is switched off.

Each dataclass is defined beside the schema and the reader of its section (`sections/`) or setting (`settings/`); this file
is the place to import them from. A new section is a file, a line in `SECTIONS` and a field of `Spec`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config.address import Listen, TlsSpec
from gateway.config.proxies import ProxySpec
from gateway.config.section import Section
from gateway.config.sections.checks import CHECKS, CheckSpec
from gateway.config.sections.defaults import DEFAULTS
from gateway.config.sections.include import INCLUDE, VERSION
from gateway.config.sections.let import LET
from gateway.config.sections.models import MODELS, ModelSpec, PriceSpec
from gateway.config.sections.observe import OBSERVE, LogSpec
from gateway.config.sections.pools import POOLS, MemberSpec, PoolSpec
from gateway.config.sections.providers.section import PROVIDERS
from gateway.config.sections.providers.spec import ClientTlsSpec, ProviderSpec
from gateway.config.sections.routes.section import ROUTES
from gateway.config.sections.routes.spec import Method, PathRouteSpec, RouteSpec
from gateway.config.sections.server.section import SERVER
from gateway.config.sections.server.spec import AdminSpec, DrainSpec, ServerLimitsSpec, ServerSpec
from gateway.config.sections.state import STATE
from gateway.config.sections.tenants import TENANTS, Priority, TenantSpec
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
    "INCLUDABLE",
    "SECTIONS",
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
    "ServerLimitsSpec",
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


SECTIONS: Final[tuple[Section, ...]] = (
    VERSION,
    INCLUDE,
    SERVER,
    STATE,
    PROVIDERS,
    MODELS,
    POOLS,
    DEFAULTS,
    LET,
    ROUTES,
    TENANTS,
    OBSERVE,
    CHECKS,
)
"""In the order of the schema, in which they are read and checked too."""

INCLUDABLE: Final = tuple(section.key for section in SECTIONS if section.is_includable)
"""Sections that an included file may hold: what is defined by name. The rest has an order or exists once."""
