"""Fixtures for every test. Warnings are errors (setup.cfg), so everything opened here is closed here."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.gateway import GatewayProcess
from tests.support.processes import free_port
from tests.support.simulator import SimulatorProcess

StartGateway = Callable[..., GatewayProcess]


@pytest.fixture
def clock() -> FakeClock:
    """A clock set by hand."""
    return FakeClock()


@pytest.fixture
def port() -> int:
    """A free port of the loopback."""
    return free_port()


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Restore the handlers, level and hooks of logging that a process log replaces."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    root.handlers[:], _ = handlers, root.setLevel(level)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulator for all tests of a run; the tests distinguish their requests by model name."""
    with SimulatorProcess(tmp_path_factory.mktemp("simulator")) as process:
        yield process
        assert process.stop() == 0, process.log()
        assert process.log() == "", "the simulator logged something"


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways (arguments of `GatewayProcess` after the folder); each must exit cleanly with the test."""
    started: list[GatewayProcess] = []

    def start(body: str, **options: Any) -> GatewayProcess:
        process = GatewayProcess(tmp_path / f"gateway-{len(started)}", body, **options)
        started.append(process)
        return process

    try:
        yield start
        for process in started:
            if process.exit_code is None:
                assert process.stop() == 0, process.log()[-8000:]
    finally:
        for process in started:
            process.kill()
