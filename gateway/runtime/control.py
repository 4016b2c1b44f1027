"""The control process: the parent of all others, and what `gateway run` is.

This file is the order of the start, kept short because the gateway has to serve within a second: the first worker is
launched before anything else is imported, and imports its modules on another core while the configuration is read here.
Then `control_loop.py` takes over.

When this process ends, for whatever reason, the others follow: workers see the end of their bus, finish running requests
and exit; children see the end of their lifeline, which workers hold too, and exit last.
"""

import os
import signal
from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from gateway.runtime.launch import (
    STOP_SIGNALS,
    Bootstrap,
    launch_worker,
    make_lifeline,
    open_standard_streams,
    raise_descriptor_limit,
)
from gateway.runtime.notify import Notifier

FAILED = 1
BAD_CONFIGURATION = 2


def run(config_path: Path, pid_path: Path | None = None) -> int:
    """Run the gateway until it is stopped; `pid_path` holds its process id meanwhile.

    Return 0 after a clean stop, 1 after a failure, 2 for a bad configuration, whose problems are printed to stderr.
    """
    open_standard_streams()
    # SIGHUP means reload, and there is nothing to reload yet. The other two end a process by default; workers and managed
    # servers inherit that they are ignored.
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # Stop signals before the loop that handles them are noted; an exception could be raised in any line.
    early_signals: list[int] = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _: early_signals.append(number))
    notifier = Notifier.take(os.environ, os.getpid())
    raise_descriptor_limit()
    lifeline = make_lifeline()
    launched = launch_worker(lifeline)
    try:
        return _run(config_path, pid_path, Bootstrap(lifeline, launched, notifier, early_signals))
    except KeyboardInterrupt:
        return FAILED
    finally:
        if launched.process.poll() is None:
            launched.process.kill()
            launched.process.wait()
        launched.bus.close()
        os.close(lifeline.read_fd)
        os.close(lifeline.write_fd)


def _run(config_path: Path, pid_path: Path | None, bootstrap: Bootstrap) -> int:
    import asyncio  # none of these before the worker is launched

    from gateway.core.problem import ConfigError
    from gateway.observability.line_writer import write_soon
    from gateway.observability.logging import STDERR
    from gateway.routing.checks import load_and_run_checks
    from gateway.runtime.control_loop import ControlLoop
    from gateway.runtime.cpus import worker_count
    from gateway.runtime.listeners import ListenError
    from gateway.runtime.pid_file import PidFileError, pid_file
    from gateway.runtime.sockets import Sockets

    if not has_strict_parser(os.environ):
        write_soon(
            STDERR,
            "gateway: aiohttp is without its C parser, and no other one is strict enough: install a wheel of aiohttp for "
            "this platform, and leave AIOHTTP_NO_EXTENSIONS unset\n",
        )
        return FAILED
    try:
        loaded = load_and_run_checks(config_path, os.environ)  # the first worker compiles it
    except ConfigError as error:
        write_soon(STDERR, f"{error}\n")
        return BAD_CONFIGURATION
    server = loaded.spec.server
    try:
        with pid_file(pid_path), Sockets.bind(config_path, server, worker_count(server.workers)) as sockets:
            return asyncio.run(ControlLoop(config_path, loaded, sockets, bootstrap).run())
    except (ListenError, PidFileError) as error:
        write_soon(STDERR, f"gateway: {error}\n")
        return FAILED


def has_strict_parser(environ: Mapping[str, str]) -> bool:
    """Return whether aiohttp will use its parser in C; its parser in Python is not strict enough.

    Decided as aiohttp does, without importing it: that would delay the start.
    """
    package = find_spec("aiohttp")
    if package is None or environ.get("AIOHTTP_NO_EXTENSIONS"):
        return False
    return PathFinder.find_spec("_http_parser", package.submodule_search_locations) is not None
