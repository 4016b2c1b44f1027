"""A provider kind as the configuration sees it: its settings and defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One kind of provider: its own settings, in addition to those of every provider.

    `settings` and `model_settings` map the name of a setting to its JSON Schema (with `description`). The first are read from
    `providers.<name>`, the second from `models.<name>` of a model at such a provider.

    `default_url` is used if the configuration has no `url`. A kind without `default_url` and `server_module` needs `url`. With a
    `server_module` the gateway starts the server itself (`python -m SERVER_MODULE --socket PATH --lifeline FD`, and the settings
    as options), so such a provider has no `url` and no `key`.
    """

    name: str
    summary: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_url: str | None = None
    default_auth: Literal["bearer", "x-api-key", "api-key"] = "bearer"  # the header that carries the key
    server_module: str = ""
    bounds_output: bool = False  # its server takes `--max-output`, the default limit of an answer
    others: Mapping[str, str] = field(default_factory=dict)  # names of other servers with this API → their URL

    @property
    def is_managed(self) -> bool:
        return bool(self.server_module)
