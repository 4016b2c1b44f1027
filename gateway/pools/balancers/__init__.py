"""Balancing strategies: which of several eligible targets takes a request. One file for each strategy.

May import what `pools` may. Read `base.py` first. Every file of this folder is imported, so a new strategy is one new file
that registers itself; no other file changes.
"""

import importlib
import pkgutil


def load_strategies() -> None:
    """Import every file of this folder; each registers its strategy."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


load_strategies()
