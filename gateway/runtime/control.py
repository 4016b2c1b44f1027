"""The control process: the parent of all others, and what `gateway run` is.

This file is the order of the start, kept short because the proxy has to serve within a second: the worker's process is
launched before anything else is even imported, and loads on another core while the configuration is read here. Then
`control_loop.py` takes over.

Whatever ends this process, the others follow: workers see the end of their bus, finish what runs and go; children see
the end of their lifeline, which workers hold too, and go last.
"""

import os
import signal
import sys
from pathlib import Path

from gateway.runtime.descriptors import raise_limit
from gateway.runtime.launch import Bootstrap, launch_worker, make_lifeline
from gateway.runtime.notify import Notifier

FAILED = 1
BAD_CONFIGURATION = 2


def run(config_path: Path, pid_path: Path | None = None) -> int:
    """Run the gateway until it is told to stop; its process id stands in `pid_path` meanwhile.

    Gives 0 after a clean stop, 1 after a failure, 2 for a bad configuration, whose problems are printed to stderr.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # means reload, and there is nothing to reload yet
    early: list[int] = []  # signals to stop that came before the loop that handles them; raising could hit any line
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: early.append(number))
    notifier = Notifier.take(os.environ, os.getpid())
    raise_limit()
    lifeline = make_lifeline()
    launched = launch_worker(lifeline)
    try:
        return _run(config_path, pid_path, Bootstrap(lifeline, launched, notifier, early))
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
    import asyncio  # none of these before the worker is on its way

    from gateway.core.problem import ConfigError
    from gateway.runtime.checked import load_and_check
    from gateway.runtime.control_loop import ControlLoop
    from gateway.runtime.cpus import worker_count
    from gateway.runtime.listeners import ListenError
    from gateway.runtime.parser import has_strict_parser
    from gateway.runtime.pid_file import PidFileError, pid_file
    from gateway.runtime.sockets import Sockets

    if not has_strict_parser(os.environ):
        sys.stderr.write(
            "gateway: aiohttp is without its C parser, and no other one is strict enough: install a wheel of aiohttp for "
            "this platform, and leave AIOHTTP_NO_EXTENSIONS unset\n"
        )
        return FAILED
    try:
        loaded = load_and_check(config_path, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_CONFIGURATION
    server = loaded.spec.server
    try:
        with pid_file(pid_path), Sockets.bind(config_path, server, worker_count(server.workers)) as sockets:
            return asyncio.run(ControlLoop(config_path, loaded, sockets, bootstrap).run())
    except (ListenError, PidFileError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return FAILED
