"""What `providers` holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.config.proxies import ProxySpec
from gateway.config.settings import EMPTY_POLICY, Policy
from gateway.config.settings.health import HealthSpec
from gateway.core.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientTlsSpec:
    """The authorities that TLS to a provider trusts (`ca`, "": the system's) and the client's certificate; texts in PEM."""

    ca: str = ""
    cert: str = ""
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    name: str
    kind: str
    url: str = ""  # without a trailing slash; empty for kinds whose server the gateway starts
    key: Secret | None = None
    urls: tuple[str, ...] = ()  # every URL and every key where there are several, `url` and `key` being the first:
    keys: tuple[Secret, ...] = ()  # each URL with each key is an endpoint of its own
    is_on: bool = True  # False: its keys are empty
    auth: Literal["bearer", "x-api-key", "api-key"] = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)  # sent with every request
    proxy: ProxySpec | None = None  # the file's, else the environment's
    tls: ClientTlsSpec | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # the kind's own, units already read
    max_inflight: int | None = None  # requests at the same time, over all its models
    health: HealthSpec | None = None
    policy: Policy = EMPTY_POLICY
