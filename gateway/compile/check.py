"""Check a configuration as far as possible before it serves: `gateway check`, the start and a reload all do the same."""

import logging
from collections.abc import Mapping
from pathlib import Path

from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded, load
from gateway.config.spec import Spec
from gateway.core.clock import SystemClock
from gateway.core.problem import ConfigError, Place, Problem
from gateway.pools.directory import Directory
from gateway.providers import provider_kinds
from gateway.routing.checks import failed_checks
from gateway.routing.router import Router

log = logging.getLogger(__name__)


def load_and_check(path: Path, env: Mapping[str, str]) -> Loaded:
    """Read a configuration, run its own `checks:` and compile it. Blocking. Raise `ConfigError` with every problem.

    The compiled snapshot is thrown away: each worker compiles its own. So a worker never gets a configuration that does
    not compile.
    """
    loaded = load(path, env=env, kinds=provider_kinds())
    problems = failed_checks(loaded.spec, Router(loaded.spec))
    if problems:
        raise ConfigError(problems)
    _check_compiles(loaded.spec)
    return loaded


def _check_compiles(spec: Spec) -> None:
    """Compile `spec` for one worker without its managed servers. Raise `ConfigError`, also for errors of ours."""
    try:
        compile_snapshot(spec, 0, {}, Directory(SystemClock()), workers=1)
    except ConfigError:
        raise
    except Exception as error:
        log.exception("configuration does not compile")
        raise ConfigError((Problem(Place(), "", f"{type(error).__name__} while compiling, see the log"),)) from error
