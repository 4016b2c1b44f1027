"""What a provider kind tells the configuration about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """The settings that one kind of provider takes, beside those that every provider takes.

    `settings` and `model_settings` map a setting's name to its JSON Schema (with `description`); the first stand under
    `providers.<name>`, the second under `models.<name>` of a model at such a provider. `default_url` is used where the
    file gives none; a kind without one, and with `is_child` false, needs `url`. `is_child`: the gateway starts the server itself, so `url` and `key` make no sense.
    """

    name: str
    summary: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_url: str | None = None
    is_child: bool = False
