"""Processes of ours are born deaf to what only control may decide on, and hold only what they were given."""

import os
import resource
import signal
from pathlib import Path

import pytest

from gateway.runtime.launch import launch, make_lifeline, raise_descriptor_limit

REPORT = """
import os, signal, sys
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
open_fds = []
for fd in range(3, 64):
    try:
        os.fstat(fd)
        open_fds.append(fd)
    except OSError:
        pass
with open(sys.argv[1], "w") as out:
    print(sorted(s.name for s in blocked), open_fds, os.getpgid(0) == os.getpid(), file=out)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    return tmp_path / "launched_for_test.py"


def test_a_launched_process_is_deaf_to_signals_for_control_and_holds_only_what_it_was_given(
    module: Path, tmp_path: Path
) -> None:
    module.write_text(REPORT)
    lifeline = make_lifeline()
    process = launch("launched_for_test", [str(tmp_path / "out")], [lifeline.read_fd])
    assert process.wait() == 0
    assert (tmp_path / "out").read_text() == f"['SIGHUP', 'SIGINT'] [{lifeline.read_fd}] True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.close(lifeline.read_fd)
    os.close(lifeline.write_fd)


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda which: limit["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: limit.update(now=limits))
    raise_descriptor_limit()
    assert limit["now"] == (4096, 4096)
