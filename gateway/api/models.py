"""`GET /v1/models` and `/v1/models/{id}`: what the key may ask for, with quality and price."""

from typing import Any

from gateway.config.spec import ModelSpec, PriceSpec, Spec
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import Principal
from gateway.snapshot import Snapshot

PICODOLLARS_TO_USD_PER_MILLION = 10**6  # a picodollar a token is a micro-dollar a million tokens


def list_models(snapshot: Snapshot, principal: Principal) -> dict[str, Any]:
    """Give every name that `principal` may ask for, in OpenAI's shape."""
    names = snapshot.router.names(principal)
    return {"object": "list", "data": [_entry(snapshot.spec, name, name) for name in names]}


def one_model(snapshot: Snapshot, principal: Principal, name: str) -> dict[str, Any]:
    """Give one of them, or a member of a family among them. Raises `ModelNotFound`."""
    if not snapshot.router.knows(name, principal):
        raise ModelNotFound(f"the model {name[:100]!r} does not exist or is not allowed to this key", param="model")
    return _entry(snapshot.spec, name, snapshot.router.family_of(name) or name)


def _entry(spec: Spec, name: str, listed: str) -> dict[str, Any]:
    """Give what is known of `name`, which stands in the configuration as `listed`."""
    entry: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "llm-gateway"}
    model = spec.models.get(listed)
    if model is not None:
        entry |= {"owned_by": model.provider, "price": _price(model.price)} | _facts(model)
    elif name in spec.pools:
        entry["members"] = [member.model for member in spec.pools[name].members]
    return entry


def _facts(model: ModelSpec) -> dict[str, Any]:
    facts = {"quality": model.quality, "latency_s": model.latency_s, "context": model.context}
    return {name: value for name, value in facts.items() if value is not None}


def _price(price: PriceSpec) -> dict[str, float]:
    """Prices as people quote them: USD per million tokens."""
    classes = {
        "input": price.input,
        "cached_input": price.cached_input,
        "cache_write": price.cache_write,
        "output": price.output,
    }
    return {name: value / PICODOLLARS_TO_USD_PER_MILLION for name, value in classes.items() if value is not None}
