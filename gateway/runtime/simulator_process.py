"""The simulator as a process.

`python -m gateway.runtime.simulator_process --socket PATH | --listen HOST:PORT [--lifeline FD] [--record]`
"""

import argparse
import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.core.clock import SystemClock
from gateway.observability.logging import ProcessLog
from gateway.runtime.lifeline import end_with
from gateway.simulator.server import Simulator
from gateway.simulator.stats import Stats

LINE_LIMIT_BYTES: Final = 32 * 2**10  # of the request line and of a header: all that the gateway accepts and forwards
BACKLOG: Final = 1024
SEND_BUFFER_BYTES: Final = (
    256 * 1024
)  # accepted connections inherit it; small, so that a slow reader causes backpressure soon


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen: a Unix socket, otherwise an address."""

    socket: str | None
    host: str
    port: int
    lifeline: int | None
    is_recording: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, or the end of the lifeline."""
    options = _options(arguments)
    if options.lifeline is not None:
        end_with(options.lifeline)
    ProcessLog().install()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(serve(options))
        except OSError as error:
            print(f"simulator: can't listen: {error}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = Simulator(SystemClock(), Stats(options.is_recording)).application()
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=0.1,
        max_line_size=LINE_LIMIT_BYTES,
        max_field_size=LINE_LIMIT_BYTES,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, _listening_socket(options), backlog=BACKLOG).start()
        await stop.wait()
    finally:
        await runner.cleanup()


def _listening_socket(options: Options) -> socket.socket:
    if options.socket is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address: str | tuple[str, int] = options.socket
        Path(options.socket).unlink(missing_ok=True)  # left by a simulator that was killed
    else:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = (options.host, options.port)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="simulator_process", description="A scripted provider for demos and tests.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", metavar="PATH", help="listen on a Unix socket")
    where.add_argument("--listen", metavar="HOST:PORT", type=_address, help="listen on an address")
    parser.add_argument("--lifeline", metavar="FD", type=int, help="exit when this pipe closes")
    parser.add_argument("--record", action="store_true", help="keep the last request of each model for GET /stats")
    read = parser.parse_args(arguments)
    host, port = read.listen or ("", 0)
    return Options(read.socket, host, port, read.lifeline, read.record)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"an address has the form HOST:PORT (got {text!r})")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
