"""What a provider kind tells the configuration about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """The settings that one kind of provider takes, beside those that every provider takes.

    `settings` and `model_settings` map a setting's name to its JSON Schema (with `description`); the first stand under
    `providers.<name>`, the second under `models.<name>` of a model at such a provider. `default_url` is used where the
    file gives none; a kind without one, and without a `server_module`, needs `url`. A kind with a
    `server_module` has a server that the gateway itself starts (`python -m child_module --socket PATH --lifeline FD`, and the
    settings as options), so `url` and `key` make no sense.
    """

    name: str
    summary: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_url: str | None = None
    default_auth: Literal["bearer", "x-api-key", "api-key"] = "bearer"  # the header that carries the key
    server_module: str = ""

    @property
    def is_managed(self) -> bool:
        return bool(self.server_module)
