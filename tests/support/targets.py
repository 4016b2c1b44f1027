"""Endpoints and targets as a pool holds them, built from real parts."""

from collections.abc import Sequence
from typing import Any

from gateway.config.spec import ModelSpec, PriceSpec, ProviderSpec, RetrySpec
from gateway.dialects import openai_chat
from gateway.dialects.bridge import bridge
from gateway.pools.endpoint import Endpoint, EndpointId
from gateway.pools.target import DialectBinding, Target
from gateway.providers.openai import OpenAI
from gateway.resilience.breaker import Breaker
from gateway.resilience.timeouts import Timeouts
from tests.support.clock import FakeClock


def target(
    name: str = "one",
    *,
    endpoint: Endpoint | None = None,
    in_flight: int = 0,
    price: tuple[int, int] = (0, 0),
    latency_s: float | None = None,
    **settings: Any,
) -> Target:
    """Return a target for a model of that name; "big#2" is the second key or URL of "big".

    `settings` are the target's own (`weight`, `priority`, `slow_start_s`, …); `price`: input and output.
    """
    model = name.partition("#")[0]
    found = endpoint or Endpoint(EndpointId(f"web/{name}"), "web", model, Breaker(None, FakeClock()))
    found.in_flight = in_flight
    return Target(
        endpoint=found,
        provider=OpenAI(ProviderSpec("web", "openai", "http://127.0.0.1:1/v1")),
        model=ModelSpec(model, "web", model, PriceSpec(*price), quality=0.5, latency_s=latency_s),
        timeouts=Timeouts(),
        bindings={openai_chat.PATH: DialectBinding(bridge(openai_chat, openai_chat), b"")},
        **{"retry": RetrySpec(), **settings},
    )


def names(targets: Sequence[Target]) -> str:
    """Return the names of targets, joined; for names of one letter."""
    return "".join(target.endpoint.id.removeprefix("web/") for target in targets)
