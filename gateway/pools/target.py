"""An endpoint as one route and pool reach it: compiled anew by every reload, points to the live endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.spec import BatchSpec, ModelSpec, RetrySpec
from gateway.pools.endpoint import Credential, Endpoint
from gateway.providers.base import Provider
from gateway.resilience.timeouts import Timeouts

if TYPE_CHECKING:  # control reads pools and needs no dialect: its start is faster without them
    from gateway.dialects.bridge import Bridge


@dataclass(frozen=True, slots=True)
class DialectBinding:
    """How requests in one client dialect are sent to a provider: translation, and the constant part of the head."""

    bridge: "Bridge"
    request_head: bytes  # without the blank line


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An endpoint as one route and pool reach it: the settings that hold there, and the parts that are compiled once."""

    endpoint: Endpoint
    provider: Provider
    model: ModelSpec
    timeouts: Timeouts
    bindings: Mapping[str, DialectBinding]  # by the client's path; the provider does not support any other path
    retry: RetrySpec
    drops_params: bool = False  # leave out parameters that the provider's dialect does not have
    batch: BatchSpec | None = None  # gather small requests into one, where the dialect allows it
    slow_start_s: float = 0.0
    weight: float = 1.0
    priority: int = 1  # lower numbers first
    max_inflight: int | None = None  # of the endpoint
    provider_max_inflight: int | None = None  # of the provider, over all its endpoints
    other_keys: tuple[Credential, ...] = ()  # other keys of the provider

    @property
    def has_room(self) -> bool:
        """Whether one more request may run there now: the limits of the endpoint and of its provider."""
        endpoint = self.endpoint
        return (self.max_inflight is None or endpoint.in_flight < self.max_inflight) and (
            self.provider_max_inflight is None or endpoint.load.in_flight < self.provider_max_inflight
        )
