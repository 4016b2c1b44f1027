"""Children are started, watched, restarted, replaced by a reload, and never outlive their parents."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.spec import LogSpec, ModelSpec, Policy, PriceSpec, ProviderSpec, ServerSpec, Spec
from gateway.core.clock import SystemClock
from gateway.core.tasks import Tasks
from gateway.runtime.launch import make_lifeline
from gateway.runtime.managed_server import ChildContext, is_healthy
from gateway.runtime.managed_servers import ManagedServers, recipes
from gateway.runtime.reaper import Reaper

ROOT = Path(__file__).parents[3]

# A server of the shape that children have. `--weights` says how it behaves.
SERVER = """
import os, socket, sys, threading

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
behaviour = options["--weights"]
if behaviour == "missing":
    sys.exit(3)
if behaviour == "crash":
    sys.exit(1)

def leave():
    os.read(int(options["--lifeline"]), 1)
    os._exit(0)

threading.Thread(target=leave, daemon=True).start()
server = socket.socket(socket.AF_UNIX)
server.bind(options["--socket"])
server.listen()
answers = 0
while True:
    client, _ = server.accept()
    client.recv(1000)
    status = b"503 loading" if behaviour == "slow" and answers < 2 else b"200 OK"
    answers += 1
    client.sendall(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: 0\\r\\n\\r\\n")
    client.close()
"""


def spec_of(**weights: str) -> Spec:
    """A configuration with one child for each provider named, behaving as its weights say."""
    price = PriceSpec(0, 0)
    return Spec(
        server=ServerSpec(),
        state_dir="/nowhere",
        providers={name: ProviderSpec(name, "test", settings={"weights": said}) for name, said in weights.items()},
        models={f"{name}-model": ModelSpec(f"{name}-model", name, "m", price, 0.5) for name in weights},
        pools={},
        defaults=Policy(),
        lets={},
        routes=(),
        tenants={},
        log=LogSpec(),
        checks=(),
        digest="",
    )


class Nest:
    """Children under test, and what they said about themselves."""

    def __init__(self, run: ChildContext) -> None:
        self.run = run
        self.heard: list[tuple[str, str]] = []
        self._news = asyncio.Event()
        self.children = ManagedServers(run, self._hear)

    async def until(self, provider: str, condition: str) -> None:
        async with asyncio.timeout(20):
            while self.children.conditions().get(provider) != condition:
                self._news.clear()
                await self._news.wait()

    def _hear(self, provider: str, condition: str) -> None:
        self.heard.append((provider, condition))
        self._news.set()


@pytest.fixture
async def nest(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nest]:
    tasks, reaper, lifeline = Tasks(), Reaper(), make_lifeline()
    reaper.open()
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        (Path(folder) / "child_for_test.py").write_text(SERVER)
        monkeypatch.setenv("PYTHONPATH", folder)
        run = ChildContext(tasks, SystemClock(), reaper, lifeline, Path(folder), {"test": "child_for_test"})
        one = Nest(run)
        one.children.release()
        yield one
        await one.children.close()
        await tasks.close()
        reaper.close()
    os.close(lifeline.read_fd)
    os.close(lifeline.write_fd)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_is_warming_until_it_answers_200(nest: Nest) -> None:
    spec = spec_of(local="slow")
    addresses = nest.children.plan(spec)
    nest.children.keep(spec)
    assert nest.children.conditions() == {"local": "warming"}
    await nest.until("local", "up")
    assert nest.heard == [("local", "warming"), ("local", "up")]
    assert await is_healthy(Path(addresses["local"].removeprefix("unix:")))
    assert len(addresses["local"]) < 100


async def test_nothing_runs_before_it_is_released(nest: Nest) -> None:
    later = ManagedServers(nest.run, nest.children._on_change)
    spec = spec_of(local="good")
    later.plan(spec)
    later.keep(spec)
    await asyncio.sleep(0)
    assert later.pids() == {"local": 0}
    assert later.conditions() == {"local": "warming"}
    later.release()
    async with asyncio.timeout(10):
        while later.conditions() != {"local": "up"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await later.close()


async def test_a_killed_child_is_down_and_then_comes_back_at_the_same_address(nest: Nest) -> None:
    spec = spec_of(local="good")
    addresses = nest.children.plan(spec)
    nest.children.keep(spec)
    await nest.until("local", "up")
    first = nest.children.pids()["local"]
    os.kill(first, signal.SIGKILL)
    await nest.until("local", "down")
    await nest.until("local", "up")
    assert nest.children.pids()["local"] not in (0, first)
    assert nest.children.plan(spec) == addresses
    assert [condition for _, condition in nest.heard] == ["warming", "up", "down", "warming", "up"]


async def test_a_child_that_lacks_a_package_is_given_up_until_the_next_reload(
    nest: Nest, caplog: pytest.LogCaptureFixture
) -> None:
    spec = spec_of(local="missing")
    addresses = nest.children.plan(spec)
    nest.children.keep(spec)
    await nest.until("local", "down")
    while not (warnings := [one for one in caplog.records if "optional package" in one.message]):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert len(warnings) == 1
    assert vars(warnings[0])["provider"] == "local"
    assert nest.children.plan(spec) != addresses


async def test_a_crashing_child_is_restarted_after_a_pause(nest: Nest, caplog: pytest.LogCaptureFixture) -> None:
    spec = spec_of(local="crash")
    nest.children.plan(spec)
    nest.children.keep(spec)
    for _ in range(2):
        await nest.until("local", "down")
        await nest.until("local", "warming")
    pauses = [vars(one)["pause_s"] for one in caplog.records if "will be restarted" in one.message]
    assert pauses[:2] == [0.1, 0.2]


async def test_a_reload_leaves_unchanged_children_alone(nest: Nest) -> None:
    before, after = spec_of(local="good", other="good"), spec_of(local="good", third="good")
    nest.children.plan(before)
    nest.children.keep(before)
    await nest.until("local", "up")
    await nest.until("other", "up")
    pids = nest.children.pids()
    nest.children.plan(after)
    nest.children.keep(after)
    await nest.until("third", "up")
    assert nest.children.pids()["local"] == pids["local"]
    assert set(nest.children.conditions()) == {"local", "third"}
    async with asyncio.timeout(10):
        while is_running(pids["other"]):  # noqa: ASYNC110 (a process of the system's)
            await asyncio.sleep(0.01)


async def test_changed_settings_start_a_new_child_beside_the_old_one(nest: Nest) -> None:
    before, after = spec_of(local="good"), spec_of(local="slow")
    old = nest.children.plan(before)["local"]
    nest.children.keep(before)
    await nest.until("local", "up")
    new = nest.children.plan(after)["local"]
    assert new != old
    assert nest.children.conditions() == {"local": "up"}
    nest.children.keep(after, linger_s=1000.0)
    assert nest.children.conditions() == {"local": "warming"}
    await nest.until("local", "up")
    assert await is_healthy(Path(old.removeprefix("unix:")))


async def test_a_refused_reload_ends_what_it_had_started(nest: Nest) -> None:
    before, after = spec_of(local="good"), spec_of(local="good", extra="good")
    nest.children.plan(before)
    nest.children.keep(before)
    await nest.until("local", "up")
    nest.children.plan(after)
    nest.children.keep(before)
    assert nest.children.conditions() == {"local": "up"}
    assert "extra" not in dict(nest.heard)


async def test_closing_ends_every_process_and_removes_its_socket(nest: Nest) -> None:
    spec = spec_of(local="good")
    address = nest.children.plan(spec)["local"]
    nest.children.keep(spec)
    await nest.until("local", "up")
    pid = nest.children.pids()["local"]
    await nest.children.close()
    assert not is_running(pid)
    assert not os.path.lexists(address.removeprefix("unix:"))  # noqa: ASYNC240


def test_children_leave_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "child_for_test.py").write_text(SERVER)
    parent = """
        import os, signal
        from gateway.runtime.launch import launch, make_lifeline
        lifeline = make_lifeline()
        options = ["--weights", "good", "--lifeline", str(lifeline.read_fd), "--socket", "c.sock"]
        print(launch("child_for_test", options, [lifeline.read_fd]).pid, flush=True)
        signal.pause()
    """
    code = "\n".join(line.strip() for line in parent.splitlines())
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.fspath(tmp_path), str(ROOT)])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path, env=env) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        watch = os.pidfd_open(pid)
        process.kill()
    assert select.select([watch], [], [], 10)[0], "the child outlived its parent"
    os.close(watch)


def test_only_providers_that_are_on_and_used_get_a_child() -> None:
    spec = spec_of(local="good", idle="good", off="good")
    models = {name: model for name, model in spec.models.items() if model.provider != "idle"}
    providers = {**spec.providers, "off": replace(spec.providers["off"], is_on=False)}
    found = recipes(replace(spec, models=models, providers=providers), {"test": "some.module"})
    assert [(one.provider, one.module, one.options) for one in found] == [
        ("local", "some.module", ("--weights", "good"))
    ]


def test_settings_become_options_in_a_steady_order() -> None:
    provider = ProviderSpec("local", "test", settings={"weights": "w", "context": 2000})
    spec = replace(spec_of(local="x"), providers={"local": provider})
    assert recipes(spec, {"test": "m"})[0].options == ("--context", "2000", "--weights", "w")


def test_how_the_gateway_asks_is_no_option_of_the_server() -> None:
    provider = ProviderSpec("local", "test", settings={"speaks": ["messages"]})
    spec = replace(spec_of(local="x"), providers={"local": provider})
    assert recipes(spec, {"test": "m"})[0].options == ()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 loading\r\n\r\n", b"HTTP/1.1 2000\r\n", b"garbage\r\n", b""])
async def test_anything_but_200_is_not_healthy(tmp_path: Path, answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    place = tmp_path / "s"
    async with await asyncio.start_unix_server(reply, place):
        assert not await is_healthy(place)
    assert not await is_healthy(tmp_path / "nothing")


def bounded(kind: str, *bounds: int | None) -> tuple[str, ...]:
    """Return the command line of a server whose models have these longest answers."""
    spec = spec_of(local="w")
    provider = replace(spec.providers["local"], kind=kind, settings={})
    models = {f"m{i}": replace(spec.models["local-model"], max_output=bound) for i, bound in enumerate(bounds)}
    (recipe,) = recipes(replace(spec, providers={"local": provider}, models=models), {kind: "module"})
    return recipe.options


def test_the_longest_answer_of_its_models_bounds_the_embedded_model() -> None:
    assert bounded("llamacpp", 256) == ("--max-output", "256")
    assert bounded("llamacpp", 100, 300) == ("--max-output", "300")


def test_a_model_without_a_longest_answer_leaves_its_server_unbounded() -> None:
    assert bounded("llamacpp", 256, None) == ()


def test_other_servers_take_no_bound() -> None:
    assert bounded("simulator", 256) == ()
