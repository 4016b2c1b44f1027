"""Upstream APIs: one file for each kind (URL, auth, errors), and the HTTP client that sends their requests.

May import `dialects`, `streaming`, `resilience`, `config` and `core`. Read `base.py` first, then `header_policy.py` (which headers
cross), `classify.py` (what an error means) and `transport.py` (the HTTP client). A new file that registers a kind is found by
itself: no other file is edited.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS
from gateway.providers.header_policy import HeaderRule, general_rules


def load_kinds() -> None:
    """Import every file of this folder; each registers its kind."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def provider_kinds() -> Mapping[str, ProviderKind]:
    """Return the settings of each kind, by its name."""
    load_kinds()
    return {name: provider.kind for name, provider in KINDS.items()}


def header_rules() -> Iterator[HeaderRule]:
    """Yield every rule of the table of headers: those of all kinds, then those of each kind."""
    load_kinds()
    yield from general_rules()
    for name, provider in KINDS.items():
        yield from (replace(rule, kind=name) for rule in provider.CLIENT_HEADERS)
