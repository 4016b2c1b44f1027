"""Who of a pool is asked: one file for each strategy.

May import what `pools` may. Read `base.py` first. A file that registers a strategy is found by itself: nothing else is
edited to add one.
"""

import importlib
import pkgutil


def load_strategies() -> None:
    """Import every file of this folder, so that each registers its strategy."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


load_strategies()
