"""`models`: one model of one provider each, with its price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.config.definitions import Schema, mapping, named, ref
from gateway.config.messages import one_of
from gateway.config.names import REQUESTED, Names
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader
from gateway.config.section import Kinds, ReadContext, SchemaContext, Section, Values
from gateway.config.settings import EMPTY_POLICY, Policy, read_policy
from gateway.config.settings.queue import cap
from gateway.core.kinds import ProviderKind
from gateway.core.usage import TOKEN_CLASSES


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """Picodollars (1e-12 USD) per token of each class: USD per million tokens × 10^6, exactly; `request` per request.

    A class without a price costs what the class costs that it falls back to: `core.usage.TOKEN_CLASSES`.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    request: int = 0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of one provider. A `name` with `*` is a family: each requested name that fits is sent on unchanged."""

    name: str
    provider: str
    id: str  # the provider's name for it; for a family the pattern itself
    price: PriceSpec
    quality: float  # 0 to 1
    latency_s: float | None = None
    context: int | None = None  # tokens
    max_output: int | None = None  # tokens
    settings: Mapping[str, Any] = field(default_factory=dict)  # the provider kind's own
    max_inflight: int | None = None  # requests at the same time, at each of its endpoints
    policy: Policy = EMPTY_POLICY

    @property
    def is_family(self) -> bool:
        return "*" in self.name


def _schema(context: SchemaContext) -> Schema:
    price = {
        one.price: ref("price", f"per million tokens {one.meaning}" + _fallback(one.falls_back_to))
        for one in TOKEN_CLASSES
    }
    price["request"] = ref("request_price", "per request, beside its tokens", default=0)
    model = mapping(
        {
            "provider": ref("name", "The provider that serves it."),
            "id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "description": "What the provider calls it, if not by its name here.",
            },
            "price": mapping(price, "US dollars per million tokens.", ("input", "output")),
            "quality": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "examples": [0.82],
                "default": 0.5,
                "description": "From 0 to 1.",
            },
            "latency": ref("duration", "Until the first token, as expected."),
            "context": ref("count", "Tokens of prompt and answer together."),
            "max_output": ref(
                "count",
                "Tokens of the longest answer. Sent to APIs that need a limit where the client names none; the "
                "embedded model's answers are bounded by it then, too.",
            ),
            "max_inflight": cap("Requests that each of its endpoints serves at the same time."),
            **_settings_of(context.kinds),
            **context.at_level["model"],
        },
        required=("provider",),
    )
    return named("model_name", model, "Models by the name that clients use.", minProperties=1)


def _fallback(name: str | None) -> str:
    return "" if name is None else f"; without it, the price of `{name}`"


def _settings_of(kinds: Kinds) -> Schema:
    """Return the settings of every kind: a model's kind is its provider's, which only `_check_kind` can see."""
    settings: Schema = {}
    for kind in kinds.values():
        for key, schema in kind.model_settings.items():
            if settings.setdefault(key, dict(schema)) != schema:
                raise ValueError(f"provider kind {kind.name!r}: another kind has a different model setting {key!r}")
    return settings


def _read(context: ReadContext) -> Mapping[str, Any]:
    providers = context.values["providers"]
    return {
        "models": {
            model: _model(model, given, context.kinds[providers[given["provider"]]["kind"]])
            for model, given in context.values["models"].items()
        }
    }


def _model(model: str, given: Values, kind: ProviderKind) -> ModelSpec:
    return ModelSpec(
        name=model,
        provider=given["provider"],
        id=given.get("id", model),
        price=PriceSpec(**given["price"]),
        quality=float(given.get("quality", 0.5)),
        latency_s=given.get("latency"),
        context=given.get("context"),
        max_output=given.get("max_output"),
        settings={key: given[key] for key in kind.model_settings if key in given},
        max_inflight=given.get("max_inflight"),
        policy=read_policy(given, "model"),
    )


def _check(reader: Reader, names: Names) -> None:
    """Check each model's name, provider and price, and the settings of its provider's kind."""
    for model, settings in names.models.items():
        trail: Trail = ("models", model)
        if model == REQUESTED or model in names.pools:
            what = f"{name(REQUESTED)} means the model asked for" if model == REQUESTED else "a pool has this name"
            reader.complain(trail, f"{what}; pools and models share their names, so give another", at_key=True)
        if not isinstance(settings, dict):
            continue
        names.refer(reader, (*trail, "provider"), settings.get("provider"), ("providers",))
        if (
            "price" not in settings
            and "models" not in names.broken
            and not any("price" in at for at in reader.problems if at[:2] == trail)
        ):
            hint = "; builtin:prices knows it: include that" if model in names.priced else ""
            message = "has no price; give price: {input: …, output: …} in US dollars per million tokens, 0 if it costs nothing"
            reader.complain(trail, message + hint, at_key=True)
        if "*" in model:
            _check_family(reader, names, trail, settings)
        _check_kind(reader, names, trail, settings)


def _check_family(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    """Refuse a family of models with one id, or where each model has an address of its own, made when the file is read."""
    if "id" in settings:
        reader.complain((*trail, "id"), "a family of models has no id: each name is sent on as it was asked for")
    provider = names.providers.get(settings.get("provider", ""))
    if not isinstance(provider, dict):
        return
    urls = provider.get("urls", [provider.get("url")])
    if isinstance(urls, list) and any(isinstance(url, str) and "{model}" in url for url in urls):
        message = f"a family of models can't be where the URL holds {{model}}, as that of provider {name(settings['provider'])}"
        reader.complain(trail, f"{message}; give each model by its name", at_key=True)


def _check_kind(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    """Refuse settings that belong to models of another kind of provider."""
    provider = names.providers.get(settings.get("provider", ""))
    kind = provider.get("kind") if isinstance(provider, dict) else None
    if not isinstance(kind, str) or kind not in names.kinds:
        return
    for key in settings:
        owners = [owner.name for owner in names.kinds.values() if key in owner.model_settings]
        if owners and kind not in owners:
            message = f"belongs to models of the kind {one_of(owners)}; provider {name(settings['provider'])} is of the kind {kind}"
            reader.complain((*trail, key), message, at_key=True)


MODELS: Final = Section(
    key="models", schema=_schema, read=_read, checks=(_check,), is_required=True, is_includable=True
)
