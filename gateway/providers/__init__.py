"""Upstream APIs: one file for each kind (URL, auth, faults), and the HTTP client that carries them.

May import `dialects`, `streaming`, `resilience`, `config` and `core`. Read `base.py` first. A file that registers a kind is
found by itself: nothing else is edited to add one.
"""

import importlib
import pkgutil
from collections.abc import Mapping

from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS


def load_kinds() -> None:
    """Import every file of this folder, so that each registers its kind."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def provider_kinds() -> Mapping[str, ProviderKind]:
    """Give what each kind takes as settings, by name."""
    load_kinds()
    return {name: provider.kind for name, provider in KINDS.items()}
