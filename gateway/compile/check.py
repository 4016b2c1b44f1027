"""Check a configuration as far as possible before it serves: `gateway check` and a reload do the same."""

from collections.abc import Mapping
from pathlib import Path

from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded
from gateway.core.clock import SystemClock
from gateway.pools.directory import Directory
from gateway.routing.checks import load_and_run_checks


def load_and_check(path: Path, env: Mapping[str, str]) -> Loaded:
    """Read a configuration, run its own `checks:` and compile it. Blocking. Raise `ConfigError` with every problem.

    The compiled snapshot is thrown away: each worker compiles its own. So a worker never gets a configuration that does
    not compile. At the start of the gateway the first worker compiles it in place of control, which is sooner.
    """
    loaded = load_and_run_checks(path, env)
    compile_snapshot(loaded.spec, 0, {}, Directory(SystemClock()), workers=1)
    return loaded
