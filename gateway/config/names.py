"""The names of a configuration that may be broken in places, and which of them can answer."""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Final

from gateway.config.levels import Level, standing_at
from gateway.config.messages import did_you_mean
from gateway.config.nodes import Trail, name
from gateway.config.read import BROKEN, Reader
from gateway.core.kinds import ProviderKind
from gateway.core.secret import Secret

REQUESTED: Final = "requested"
"""Stands in `to:` for the model that was asked for."""


class Names:
    """What the sections define. `broken`: sections of which names may be missing; in these, every name counts as known.

    `incomplete`: sections of which some file could not be read. `priced`: models known to a builtin that is not included.
    """

    def __init__(self, values: Any, kinds: Mapping[str, ProviderKind], incomplete: Set[str], priced: Set[str]) -> None:
        # Lists are copied, so that a route that is refused as a whole is still checked for everything else.
        copied = (
            {key: list(value) if isinstance(value, list) else value for key, value in values.items()}
            if isinstance(values, dict)
            else {}
        )
        self._values: dict[str, Any] = copied
        self.kinds = kinds
        self.priced = priced
        self.providers = self.section("providers")
        self.models = self.section("models")
        self.pools = self.section("pools")
        self.tenants = self.section("tenants")
        self.lets = self.section("let")
        self.server = self.section("server")
        self.defaults = self.section("defaults")
        self.routes = self.items("routes")
        self.checks = self.items("checks")
        self.broken = {key for key, value in self._values.items() if value is BROKEN} | incomplete

    def section(self, key: str) -> dict[str, Any]:
        """Return a section that is a mapping; empty where it is missing or broken."""
        found = self._values.get(key)
        return found if isinstance(found, dict) else {}

    def items(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the sound mappings of a section that is a list, with their indices."""
        found = self._values.get(key)
        return [(i, one) for i, one in enumerate(found) if isinstance(one, dict)] if isinstance(found, list) else []

    def at_levels(self, key: str, levels: Iterable[Level]) -> Iterator[tuple[Trail, Any]]:
        """Yield what stands under `key` at each of the levels, with the trail of the thing that has it."""
        for level in levels:
            for trail, settings in standing_at(self._values, level):
                if key in settings:
                    yield trail, settings[key]

    def is_off(self, provider: Any) -> bool:
        """Whether a provider has a key, or keys, and all are empty."""
        settings = self.providers.get(provider) if isinstance(provider, str) else None
        if not isinstance(settings, dict):
            return False
        keys = settings.get("keys", [settings.get("key")])
        return isinstance(keys, list) and all(isinstance(key, Secret) and not key for key in keys)

    def provider_of(self, model: str) -> str | None:
        """Return the provider of a model; None where that is broken."""
        settings = self.models.get(model)
        provider = settings.get("provider") if isinstance(settings, dict) else None
        return provider if isinstance(provider, str) else None

    def is_live(self, model: str) -> bool:
        """Whether a model can answer, as far as keys show; what is broken counts as live."""
        return not self.is_off(self.provider_of(model))

    def refer(
        self, reader: Reader, trail: Trail, word: Any, sections: Iterable[str], also: tuple[str, ...] = ()
    ) -> bool:
        """Whether `word` names something in one of the sections; else note the error, with a suggestion.

        `also`: further words that may stand there, which the caller has checked for.
        """
        known = {entry for of in sections for entry in self.section(of)}
        if not isinstance(word, str) or word in known or self.broken.intersection(sections):
            return isinstance(word, str) and word in known
        what = " or ".join(of.removesuffix("s") for of in sections)
        hint = did_you_mean(word, also)
        if "did you mean" not in hint:
            hint = did_you_mean(word, sorted(known))
        reader.complain(trail, f"there is no {what} {reader.shown(trail)}{hint}")
        return False

    def refuse_family(self, reader: Reader, trail: Trail, word: str) -> None:
        """Refuse a family of models where one model is meant."""
        if word in self.models and "*" in word:
            message = f"{name(word)} is a family of models; only `to: {REQUESTED}` leads to one of a family"
            reader.complain(trail, message)


def members_of(pool: Any) -> list[tuple[int, str]]:
    """Return the sound names of a pool's `members`, with their indices."""
    members = pool.get("members") if isinstance(pool, dict) else None
    if not isinstance(members, list):
        return []
    models = [(i, one.get("model") if isinstance(one, dict) else one) for i, one in enumerate(members)]
    return [(i, model) for i, model in models if isinstance(model, str)]


def patterns_of(route: dict[str, Any]) -> list[tuple[int, str]]:
    """Return the sound patterns of a route's `match`, with their indices."""
    patterns = route.get("match")
    return [(i, p) for i, p in enumerate(patterns) if isinstance(p, str)] if isinstance(patterns, list) else []


def are_off(providers: Iterable[str]) -> str:
    """Return the words for providers that are off."""
    first, *others = providers
    if not others:
        return f"provider {name(first)} is off, its key is empty"
    return f"providers {', '.join(map(name, (first, *others)))} are off, their keys are empty"
