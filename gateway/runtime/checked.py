"""Reading a configuration with everything that can be said of it before it serves; without the parts that serve."""

from collections.abc import Mapping
from pathlib import Path

from gateway.config.load import Loaded, load
from gateway.core.problem import ConfigError
from gateway.providers import provider_kinds
from gateway.routing.checks import failed_checks
from gateway.routing.router import Router


def load_and_check(path: Path, env: Mapping[str, str]) -> Loaded:
    """Read a configuration, and run its own `checks:` on it. Blocking. Raises `ConfigError` with every problem."""
    loaded = load(path, env=env, kinds=provider_kinds())
    problems = failed_checks(loaded.spec, Router(loaded.spec))
    if problems:
        raise ConfigError(problems)
    return loaded
