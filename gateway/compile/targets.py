"""A configuration's endpoints: each of its models at each URL of its provider, with each key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.compile.passthrough import PASSTHROUGH_PREFIX, passthrough_model
from gateway.compile.policies import EffectivePolicies, least
from gateway.config.spec import MemberSpec, Policy, ProviderSpec, Spec
from gateway.dialects import BY_NAME, BY_PATH
from gateway.dialects.bridge import bridge, can_translate
from gateway.pools.balancers.base import BALANCERS
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, EndpointId
from gateway.pools.target import DialectBinding, Target
from gateway.providers import load_kinds
from gateway.providers.base import KINDS, Provider
from gateway.providers.tls_contexts import TlsContexts
from gateway.resilience.policies import NO_RETRY
from gateway.snapshot import EndpointSettings


@dataclass(frozen=True, slots=True)
class _Place:
    """One URL of a provider, with one of its keys."""

    spec: ProviderSpec  # with this URL and key alone
    provider: Provider
    bindings: Mapping[str, DialectBinding]
    key: str  # its hash, "" for none
    address: str


class Targets:
    """Makes the targets of one configuration. `endpoints`: every endpoint of a target, with its settings."""

    def __init__(
        self, spec: Spec, settings: EffectivePolicies, addresses: Mapping[str, str], directory: Directory
    ) -> None:
        load_kinds()
        self.endpoints: dict[Endpoint, EndpointSettings] = {}
        self._spec = spec
        self._settings = settings
        self._directory = directory
        self._models = {
            **spec.models,
            **{PASSTHROUGH_PREFIX + name: passthrough_model(name) for name in spec.providers},
        }
        self._addresses = addresses
        self._contexts = TlsContexts()
        self._places = {name: self._places_of(one) for name, one in spec.providers.items() if one.is_on}

    def of(self, member: MemberSpec, pool: str, policy: Policy) -> Iterator[Target]:
        """Yield the targets of a pool member: its model at each URL of its provider, with each key."""
        model = self._models[member.model]
        places = self._places.get(model.provider, ())
        policies = self._settings.of_model(model, pool, policy)
        breaker = self._settings.of_breaker(model)
        provider_max = self._settings.share(self._spec.providers[model.provider].max_inflight)
        supports_slow_start = BALANCERS[self._settings.of_pool(pool, policy).balance].supports_slow_start
        for number, place in enumerate(places, 1):
            identity = (
                place.spec.name,
                model.name,
                model.id,
                place.address,
                place.key,
                place.provider.origin.route_key,
            )
            endpoint = self._directory.get(identity, place.spec.name, model.name, place.key, breaker)
            suffix = f"#{number}" if number > 1 else ""
            id = EndpointId(f"{place.spec.name}/{model.name}{suffix}")
            self.endpoints[endpoint] = EndpointSettings(id, breaker)
            others = {other.key for other in places} - {place.key}
            yield Target(
                endpoint=endpoint,
                provider=place.provider,
                model=model,
                timeouts=policies.timeouts,
                bindings=_bindings(place.provider, model.id) if place.provider.path_names_model else place.bindings,
                retry=policies.retry or NO_RETRY,
                drops_params=policies.drop_params,
                batch=policies.batch,
                slow_start_s=breaker.slow_start_s if breaker is not None and supports_slow_start else 0.0,
                weight=member.weight / len(places),
                priority=member.priority,
                max_inflight=least(self._settings.share(member.max_inflight), self._settings.share(model.max_inflight)),
                provider_max_inflight=provider_max,
                other_keys=tuple(self._directory.credential(place.spec.name, key) for key in sorted(others)),
            )

    def _places_of(self, spec: ProviderSpec) -> tuple[_Place, ...]:
        """Return each of a provider's URLs with each of its keys."""
        address = self._addresses.get(spec.name, "")
        places = []
        for url in spec.urls or (spec.url,):
            for key in spec.keys or (spec.key,):
                one = replace(spec, url=url, urls=(), key=key, keys=())
                provider = KINDS[spec.kind](one, address, self._contexts)
                hashed = sha256(key.value.encode()).hexdigest() if key else ""
                places.append(_Place(one, provider, _bindings(provider), hashed, address or url))
        return tuple(places)


def _bindings(provider: Provider, model_id: str = "") -> dict[str, DialectBinding]:
    """Return how requests of each client dialect reach a provider: unchanged where it speaks the dialect, else translated.

    `model_id`: of the requested model, where the provider has a path for each model.
    """
    spoken = [BY_NAME[name] for name in provider.dialects if name in BY_NAME]
    bindings = {}
    for path, client in BY_PATH.items():
        able = [client] if client in spoken else [one for one in spoken if can_translate(client, one)]
        if able:
            bindings[path] = DialectBinding(bridge(client, able[0]), provider.request_head(able[0].PATH, model_id))
    return bindings
