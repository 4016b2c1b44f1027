"""The JSON Schema of the settings that may stand at several levels: defaults, provider, model, pool, route.

Each names what it means once; which level takes which stands in `LEVELS`, and `assemble.py` reads them by the same table.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from gateway.config import units
from gateway.config.definitions import Schema, mapping, ref
from gateway.config.spec import Balance
from gateway.core.faults import RetryWord

_OF_ENDPOINTS: Final = ("timeout", "breaker", "keepalive", "retry", "drop_params")

LEVELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "defaults": (*_OF_ENDPOINTS, "batch", "hedge", "balance", "max_inflight", "queue", "all_open"),
        "provider": (*_OF_ENDPOINTS, "batch"),
        "model": (*_OF_ENDPOINTS, "batch"),
        "pool": (*_OF_ENDPOINTS, "hedge", "balance", "hash_by", "sticky", "max_inflight", "queue", "all_open"),
        "route": ("timeout", "keepalive", "retry", "drop_params", "hedge"),
    }
)

_ABOUT: Final = MappingProxyType(
    {
        "timeout": "The five clocks, each overriding the level above; `none` switches all off.",
        "breaker": "When an endpoint that fails is left alone; `none`: never.",
        "keepalive": "Comments in streams that are silent; `none`: no comments.",
        "retry": "Further attempts within a pool; `none`: one attempt in each pool.",
        "drop_params": "Leave out of a request what the provider's dialect has no word for, instead of refusing it.",
        "batch": "Small calls for embeddings gathered into one; `none`: each goes alone.",
        "hedge": "A second endpoint asked where the first is silent for long; `none`: never.",
        "balance": "Who of a pool is asked first.",
        "hash_by": "What a request is kept together by, for `consistent_hash`.",
        "sticky": "Ask the endpoint again that answered this conversation before, while it can be asked.",
        "max_inflight": "Requests that a pool serves at the same time; `none`: any number.",
        "queue": "Who waits while a pool serves its `max_inflight`; `none`: nobody.",
        "all_open": "Where every breaker of a pool and its `then` is open: refuse, or ask who is to rest least longer.",
    }
)
_DEFAULTS: Final = MappingProxyType(
    {"drop_params": False, "balance": "in_order", "max_inflight": "none", "all_open": "reject"}
)


def policy(level: str) -> Schema:
    """Give the settings that this level takes; under `defaults`, with what holds where nothing is said."""
    defaults = _DEFAULTS if level == "defaults" else {"hash_by": "conversation"}
    return {
        setting: ref(setting, _ABOUT[setting], **({"default": defaults[setting]} if setting in defaults else {}))
        for setting in LEVELS[level]
    }


def cap(description: str) -> Schema:
    """Give `max_inflight` of a thing that is no level: its own, under nothing else's."""
    return ref("max_inflight", description, default="none")


def policies() -> Schema:
    """Give their `$defs`."""
    return {
        "timeout": _or_none(_timeout(), "The five clocks of a request; `none` switches one off, or all."),
        "breaker": _or_none(_breaker(), _ABOUT["breaker"]),
        "keepalive": _or_none(_keepalive(), _ABOUT["keepalive"]),
        "retry": _or_none(_retry(), _ABOUT["retry"]),
        "batch": _or_none(_batch(), _ABOUT["batch"]),
        "hedge": _or_none(_hedge(), _ABOUT["hedge"]),
        "queue": _or_none(_queue(), _ABOUT["queue"]),
        "health": _or_none(_health(), "Asks the provider whether it lives, beside its traffic; `none`: never."),
        "balance": {"enum": list(get_args(Balance))},
        "hash_by": {
            "type": "string",
            "pattern": units.HASH_BY,
            "title": "conversation, tenant or header:NAME",
            "examples": ["conversation", "tenant", "header:x-session"],
        },
        "sticky": {"enum": ["conversation"]},
        "drop_params": {"type": "boolean"},
        "max_inflight": {
            "type": ["integer", "string"],
            "minimum": 1,
            "pattern": units.CAP,
            "title": "a count, or none",
            "examples": [8, 200, "none"],
        },
        "all_open": {"enum": ["reject", "soonest"]},
    }


def _or_none(settings: Schema, description: str) -> Schema:
    schema = mapping(settings, description)
    title = f'a mapping ({", ".join(settings)}), or "none"'
    return {**schema, "type": ["object", "string"], "pattern": "^none$", "title": title}


def _whole(default: int, description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": 1000, "default": default, "description": description}


def _timeout() -> Schema:
    return {
        "connect": ref("clock", "until a connection stands: DNS, TCP and TLS", default="2s"),
        "first_token": ref("clock", "streams: until the first content", default="20s"),
        "answer": ref("clock", "unstreamed: until the first byte of the answer's body", default="5m"),
        "idle": ref("clock", "longest silence within an answer", default="30s"),
        "total": ref("clock", "the whole request, every attempt included", default="10m"),
    }


def _breaker() -> Schema:
    return {
        "failures": _whole(5, "failures in a row that open the breaker of an endpoint"),
        "recovery": ref("positive_duration", "how long an open breaker keeps requests away", default="30s"),
        "successes": _whole(3, "probes in a row that must succeed to close it"),
        "slow_start": ref("duration", "how long its share grows to the full after it has closed", default="10s"),
    }


def _keepalive() -> Schema:
    return {
        "every": ref("positive_duration", "silence of a stream after which a comment is sent", default="15s"),
        "early": {
            "type": "boolean",
            "default": False,
            "description": "send comments before the first content too; this commits status 200, so failover ends",
        },
    }


def _retry() -> Schema:
    words: list[Any] = list(get_args(RetryWord))
    return {
        "attempts": _whole(3, "attempts in one pool, the first included"),
        "when": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": words},
            "default": ["connect", "first_token", "rate_limited", "server_error"],
            "description": "faults after which another attempt is made",
        },
        "retry_after_cap": ref("positive_duration", "the longest wait that a provider may ask for", default="20s"),
        "budget": ref(
            "share",
            "while nothing answers: attempts beyond the first, as a share of the pool's requests",
            default="20%",
        ),
        "backoff": ref(
            "positive_duration",
            "longest pause before an endpoint is asked again; it doubles each time",
            default="100ms",
        ),
        "backoff_cap": ref("positive_duration", "what that pause grows to at most", default="2s"),
    }


def _batch() -> Schema:
    return {
        "max": {
            "type": "integer",
            "minimum": 2,
            "maximum": 256,
            "default": 64,
            "description": "inputs of one upstream call; who brings as many goes alone",
        },
        "wait": ref("positive_duration", "how long the first waits for others", default="10ms"),
    }


def _hedge() -> Schema:
    return {
        "quantile": ref("share", "of the first tokens' times: who takes longer is hedged", default="95%"),
        "share": ref("share", "of the pool's requests that may be hedged", default="5%"),
        "after": ref("positive_duration", "silence that counts as long before there is evidence", default="2s"),
    }


def _queue() -> Schema:
    return {
        "max": ref("count", "requests that may wait", default=100),
        "wait": ref("positive_duration", "how long each may wait", default="2s"),
        "fair_by": {
            "enum": ["tenant", "key", "none"],
            "default": "tenant",
            "description": "who take turns; `none`: first come, first served",
        },
    }


def _health() -> Schema:
    return {
        "path": {
            "type": "string",
            "pattern": "^/",
            "maxLength": 2048,
            "title": "a path that begins with /",
            "examples": ["/models"],
            "description": "what is asked for, below the host; else what the kind knows, which costs nothing",
        },
        "every": ref("positive_duration", "how often", default="30s"),
        "timeout": ref("positive_duration", "how long an answer may take", default="5s"),
        "failures": _whole(2, "failures in a row after which it gets no requests"),
    }
