"""The end of a process is noticed without a thread, and brought about where needed."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator

import pytest

from gateway.runtime.reaper import Reaper, end


def python(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)


@pytest.fixture
async def reaper() -> AsyncIterator[Reaper]:
    one = Reaper()
    one.open()
    yield one
    one.close()


async def test_the_reaper_gives_the_exit_code(reaper: Reaper) -> None:
    with python("raise SystemExit(7)") as process:
        assert await reaper.wait(process) == 7


async def test_the_reaper_gives_it_for_a_process_that_ended_before_and_again(reaper: Reaper) -> None:
    with python("pass") as process:
        process.wait()
        assert await reaper.wait(process) == 0
        assert await reaper.wait(process) == 0


async def test_two_may_wait_and_one_may_give_up(reaper: Reaper) -> None:
    with python("import sys; sys.stdin.read()") as process:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reaper.wait(process), 0)
        waiting = asyncio.gather(reaper.wait(process), reaper.wait(process))
        await asyncio.sleep(0)
        process.kill()
        assert await waiting == [-signal.SIGKILL, -signal.SIGKILL]


async def test_a_polite_process_ends_by_itself(reaper: Reaper) -> None:
    with python("import signal; print(flush=True); signal.pause()") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert await end(reaper, process, 10.0)
        assert process.returncode == -signal.SIGTERM


async def test_a_stubborn_process_is_killed(reaper: Reaper) -> None:
    stubborn = """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(flush=True)
        while True:
            signal.pause()
    """
    with python(stubborn) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not await end(reaper, process, 0.05)
        assert process.returncode == -signal.SIGKILL
