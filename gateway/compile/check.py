"""Check a configuration as far as possible before it serves: `gateway check`, the start and a reload all do the same."""

from collections.abc import Mapping
from pathlib import Path

from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded, load
from gateway.core.clock import SystemClock
from gateway.core.problem import ConfigError
from gateway.pools.directory import Directory
from gateway.providers import provider_kinds
from gateway.routing.checks import failed_checks
from gateway.routing.router import Router


def load_and_check(path: Path, env: Mapping[str, str]) -> Loaded:
    """Read a configuration, run its own `checks:` and compile it. Blocking. Raise `ConfigError` with every problem.

    The compiled snapshot is thrown away: each worker compiles its own. So a worker never gets a configuration that does
    not compile.
    """
    loaded = load(path, env=env, kinds=provider_kinds())
    problems = failed_checks(loaded.spec, Router(loaded.spec))
    if problems:
        raise ConfigError(problems)
    compile_snapshot(loaded.spec, 0, {}, Directory(SystemClock()), workers=1)
    return loaded
