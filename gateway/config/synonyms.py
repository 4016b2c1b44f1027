"""Names that other programs have for settings of this one, and what each is called here.

Words that are merely misspelled are found by similarity (`messages.did_you_mean`); these have nothing in common with the
right one. Paths are dotted; `*` stands for any name or index.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.config.nodes import Trail, name

_LISTEN: Final = 'use listen: "127.0.0.1:{}", host and port together'

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("base_url", "api_base", "base", "endpoint", "host", "server", "address"), "url"),
        **dict.fromkeys(("base_urls", "endpoints", "hosts", "servers"), "urls"),
        **dict.fromkeys(("api_key", "token", "secret", "apikey"), "key"),
        **dict.fromkeys(("api_keys", "tokens"), "keys"),
        **dict.fromkeys(("type", "api", "api_type", "provider_type"), "kind"),
        **dict.fromkeys(("fallback", "fallbacks", "failover", "backup", "next", "else"), "then"),
        **dict.fromkeys(("models", "targets", "backends", "deployments"), "members"),
        **dict.fromkeys(("strategy", "lb", "load_balancing", "algorithm", "lb_policy"), "balance"),
        **dict.fromkeys(("if", "condition", "unless"), "when"),
        **dict.fromkeys(("pool", "target", "backend", "destination", "use"), "to"),
        **dict.fromkeys(("model_name", "upstream_model", "deployment"), "id"),
        **dict.fromkeys(("context_window", "context_length", "max_input_tokens"), "context"),
        **dict.fromkeys(("max_tokens", "max_output_tokens"), "max_output"),
        **dict.fromkeys(("cost", "pricing"), "price"),
        **dict.fromkeys(("retries", "num_retries", "max_retries"), "retry"),
        **dict.fromkeys(("timeouts", "request_timeout"), "timeout"),
    }
)
"""Keys by their last step: what is suggested where the mapping takes it."""

AT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("server.port", "server.host", "server.bind", "server.address"), _LISTEN.format(8000)),
        **dict.fromkeys(("server.admin.port", "server.admin.host", "server.admin.bind"), _LISTEN.format(9000)),
        "server.tls": 'a certificate belongs to its address: listen: {address: "0.0.0.0:8443", tls: {cert: …, key: …}}',
    }
)
"""Keys whose counterpart needs a sentence."""

VALUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "balance": {
            **dict.fromkeys(
                ("least_conn", "leastconn", "least_connections", "least_request", "least_busy"), "least_inflight"
            ),
            **dict.fromkeys(("random", "simple-shuffle", "shuffle", "random_two", "two_random"), "p2c"),
            **dict.fromkeys(("rr", "roundrobin", "even"), "round_robin"),
            **dict.fromkeys(("priority", "ordered", "first", "failover", "sequential"), "in_order"),
            **dict.fromkeys(("latency", "fastest", "least_latency", "lowest_latency", "peak_ewma"), "ewma"),
            **dict.fromkeys(("cost", "lowest_cost", "least_cost"), "cheapest"),
            **dict.fromkeys(("ip_hash", "hash", "ring_hash", "maglev"), "consistent_hash"),
        },
    }
)
"""Values by the key that holds them."""


def for_key(trail: Trail, known: list[str]) -> str:
    """Return the end of the message about the unknown key that ends `trail`: what it is called here; "" where unknown."""
    path = ".".join(map(str, trail))
    if (sentence := AT.get(path)) is not None:
        return f"; {sentence}"
    meant = KEYS.get(str(trail[-1]).lower().replace("-", "_"))
    return f"; did you mean {name(meant)}?" if meant in known else ""


def for_value(trail: Trail, value: str) -> str:
    """Return the end of the message about a refused value at `trail`: the word for it here; "" where unknown."""
    meant = VALUES.get(str(trail[-1]), {}).get(value.lower()) if trail else None
    return f"; did you mean {name(meant)}?" if meant else ""
