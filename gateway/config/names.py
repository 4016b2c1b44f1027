"""The names of a configuration that may be broken in places, and which of them can answer."""

from collections.abc import Iterable
from typing import Any

from gateway.config.nodes import Trail
from gateway.config.read import BROKEN, Reader
from gateway.config.schema import INCLUDABLE
from gateway.config.schema_errors import did_you_mean
from gateway.core.secret import Secret

REQUESTED = "requested"
"""Stands in `to:` for the model that was asked for."""


class Names:
    """What the sections define. `broken`: sections of which names may be missing; in these, every name counts as known."""

    def __init__(self, values: Any, is_whole: bool) -> None:
        self.providers = self._section(values, "providers")
        self.models = self._section(values, "models")
        self.pools = self._section(values, "pools")
        self.tenants = self._section(values, "tenants")
        self.lets = self._section(values, "let")
        self.server = self._section(values, "server")
        self.defaults = self._section(values, "defaults")
        self.routes = self._items(values, "routes")
        self.checks = self._items(values, "checks")
        self.broken = {key for key, value in values.items() if value is BROKEN} if isinstance(values, dict) else set()
        if not is_whole:
            self.broken.update(INCLUDABLE)

    def is_off(self, provider: Any) -> bool:
        """Whether a provider has a key, or keys, and all are empty."""
        settings = self.providers.get(provider) if isinstance(provider, str) else None
        if not isinstance(settings, dict):
            return False
        keys = settings.get("keys", [settings.get("key")])
        return isinstance(keys, list) and all(isinstance(key, Secret) and not key for key in keys)

    def provider_of(self, model: str) -> str | None:
        """Give the provider of a model; None where it can't be told."""
        settings = self.models.get(model)
        provider = settings.get("provider") if isinstance(settings, dict) else None
        return provider if isinstance(provider, str) else None

    def is_live(self, model: str) -> bool:
        """Whether a model can answer, as far as keys tell; what is broken counts as live."""
        return not self.is_off(self.provider_of(model))

    def refer(self, reader: Reader, trail: Trail, word: Any, sections: Iterable[str]) -> bool:
        """Whether `word` names something in one of the sections; else tell `reader`, with what may be meant."""
        known = {entry for of in sections for entry in getattr(self, of)}
        if not isinstance(word, str) or word in known or self.broken.intersection(sections):
            return isinstance(word, str) and word in known
        what = " or ".join(of.removesuffix("s") for of in sections)
        reader.complain(trail, f"there is no {what} {reader.shown(trail)}{did_you_mean(word, sorted(known))}")
        return False

    @staticmethod
    def _section(values: Any, of: str) -> dict[str, Any]:
        found = values.get(of) if isinstance(values, dict) else None
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _items(values: Any, of: str) -> list[tuple[int, dict[str, Any]]]:
        """Give the sound mappings of a list, with their indices."""
        found = values.get(of) if isinstance(values, dict) else None
        return [(i, one) for i, one in enumerate(found) if isinstance(one, dict)] if isinstance(found, list) else []


def members_of(pool: Any) -> list[tuple[int, str]]:
    """Give the sound names of a pool's `members`, with their indices."""
    members = pool.get("members") if isinstance(pool, dict) else None
    if not isinstance(members, list):
        return []
    models = [(i, one.get("model") if isinstance(one, dict) else one) for i, one in enumerate(members)]
    return [(i, model) for i, model in models if isinstance(model, str)]
