"""`GET /v1/models` and `/v1/models/{id}`: what the key may ask for, with quality and price."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.config.spec import ModelSpec, PriceSpec, Spec
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import Principal
from gateway.core.money import PICODOLLARS_PER_TOKEN
from gateway.core.usage import TOKEN_CLASSES
from gateway.dialects import MODEL_LISTS
from gateway.snapshot import Snapshot

PATH = "/v1/models"


def list_models(
    snapshot: Snapshot, principal: Principal, vendor: str = "", query: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the names that `principal` may request, in the shape of `vendor`; `query` selects a page.

    Raises `InvalidRequest`.
    """
    entries = [_entry(snapshot.spec, name, name, vendor) for name in snapshot.router.model_names(principal)]
    own = MODEL_LISTS.get(vendor)
    return {"object": "list", "data": entries} if own is None else own.page(entries, query)


def one_model(snapshot: Snapshot, principal: Principal, name: str, vendor: str = "") -> dict[str, Any]:
    """Return one of these, or a member of a family among them. Raises `ModelNotFound`."""
    if not snapshot.router.is_allowed_model(name, principal):
        raise ModelNotFound(f"the model {name[:100]!r} does not exist or is not allowed to this key", param="model")
    return _entry(snapshot.spec, name, snapshot.router.family_of(name) or name, vendor)


def _entry(spec: Spec, name: str, listed: str, vendor: str) -> dict[str, Any]:
    """Return the entry of `name`; `listed` is its name in the configuration, for a member of a family the pattern."""
    model = spec.models.get(listed)
    if (own := MODEL_LISTS.get(vendor)) is not None:
        return own.entry(name, None, None) if model is None else own.entry(name, model.context, model.max_output)
    entry: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "llm-gateway"}
    if model is not None:
        entry |= {"owned_by": model.provider, "price": _price(model.price)} | _facts(model)
    elif name in spec.pools:
        entry["members"] = [member.model for member in spec.pools[name].members]
    return entry


def _facts(model: ModelSpec) -> dict[str, Any]:
    facts = {"quality": model.quality, "latency_s": model.latency_s, "context": model.context}
    return {name: value for name, value in facts.items() if value is not None}


def _price(price: PriceSpec) -> dict[str, float]:
    """Return the configured prices in USD per million tokens, by class."""
    classes = {one.price: getattr(price, one.price) for one in TOKEN_CLASSES}
    return {name: value / PICODOLLARS_PER_TOKEN for name, value in classes.items() if value is not None}
