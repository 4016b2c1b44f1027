"""The servers, each started once for all cells, and what watches whether they are left."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.matrix import servers, table
from tests.matrix.asks import Said
from tests.matrix.cases import Cell, Provider
from tests.matrix.clients.anthropic_messages import AnthropicMessages
from tests.matrix.clients.base import Client, Server
from tests.matrix.clients.javascript import JavaScriptClient, Node, why_missing
from tests.matrix.clients.openai_chat import OpenAIChat
from tests.matrix.clients.openai_completions import OpenAICompletions
from tests.matrix.clients.openai_responses import OpenAIResponses
from tests.matrix.probe import Probe
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.processes import children_of, command_of
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

LEFT_S = 1.0
COMPUTED_S = 4.0  # llama.cpp ends what it has begun of a prompt before it looks whether anybody is there
ClientOf = Callable[[str, str], Client]
ProbeOf = Callable[[Cell], Probe]
"""Give the probe of a cell through the gateway, and a second one that asks the provider itself."""


@pytest.fixture(scope="session")
def client_of() -> Iterator[ClientOf]:
    """Give the client of a package for a dialect; those for JavaScript skip the test where they are missing."""
    python = {one.dialect: one for one in (OpenAIChat(), OpenAICompletions(), OpenAIResponses(), AnthropicMessages())}
    node = Node()

    def find(package: str, dialect: str) -> Client:
        if "Python" in package:
            return python[dialect]
        if missing := why_missing():
            pytest.skip(missing)
        return JavaScriptClient(node, package, dialect)

    yield find
    node.close()
    for client in python.values():
        client.close()


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Listening]:
    """llama.cpp's own server."""
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    with servers.llama(tmp_path_factory.mktemp("llama")) as process:
        yield process


@pytest.fixture(scope="session")
def katan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Listening]:
    """llm-katan."""
    with servers.katan(tmp_path_factory.mktemp("katan")) as process:
        yield process


@pytest.fixture(scope="session")
def gateway(
    simulator: SimulatorProcess,
    llama: servers.Listening,
    katan: servers.Listening,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GatewayProcess]:
    """One gateway before all of them."""
    text = servers.configuration(simulator.url.removesuffix("/v1"), llama.url, katan.url)
    with running_gateway(tmp_path_factory.mktemp("matrix"), text, server="workers: 1") as process:
        llama.wait_until_ready()
        katan.wait_until_ready()
        yield process


@pytest.fixture(scope="session")
def probes_of(
    gateway: GatewayProcess,
    simulator: SimulatorProcess,
    llama: servers.Listening,
    katan: servers.Listening,
    client_of: ClientOf,
) -> Callable[[Cell], tuple[Probe, Probe]]:
    """Give a cell's probe through the gateway, and the one that asks its provider itself.

    The second asks in the client's dialect where the provider has it, else in the provider's own, in Python.
    """
    urls = {"simulator": simulator.url.removesuffix("/v1"), "llama": llama.url, "katan": katan.url}
    heard: dict[object, Said] = {}
    watch = _Watch(gateway, simulator, llama)

    def find(cell: Cell) -> tuple[Probe, Probe]:
        provider = cell.provider
        is_simulated = provider.backend == "simulator"
        is_katan = provider.backend == "katan"
        direct = Server(urls[provider.backend], is_strict=is_simulated, wants_x_api_key=is_katan)
        client = client_of(cell.client, cell.dialect)
        is_spoken = cell.dialect in provider.speaks
        own = client if is_spoken else client_of("Python", provider.speaks[0])
        through = Server(f"http://127.0.0.1:{gateway.port}", servers.KEY, is_strict=is_simulated)
        return (
            Probe(client, through, provider, watch.wait, watch.leavers, False, direct if is_simulated else None, heard),
            Probe(own, direct, provider, watch.wait, watch.leavers, is_direct=True),
        )

    return find


@pytest.fixture(scope="session")
def found() -> Iterator[dict[Cell, str]]:
    """What has been found so far; all of it goes into the page where that is wanted."""
    cells: dict[Cell, str] = {}
    yield cells
    if table.IS_WRITTEN:
        table.write(cells)


class _Watch:
    """Sees whether a provider is left by a request whose client has gone."""

    def __init__(self, gateway: GatewayProcess, simulator: SimulatorProcess, llama: servers.Listening) -> None:
        self._gateway = gateway
        self._simulator = simulator
        self._llama = llama

    def leavers(self, provider: Provider, model: str) -> int:
        return int(self._simulator.stats(model)["aborted"]) if provider.backend == "simulator" else 0

    def wait(self, provider: Provider, model: str, before: int) -> None:
        """Wait until the simulator has counted one more, or llama.cpp computes no longer."""
        if provider.backend == "simulator":
            self._simulator.wait_until("aborted", before + 1, model, LEFT_S)
        elif provider.backend == "llama":
            wait_for(self._is_quiet, "llama.cpp to be left", COMPUTED_S)

    def _is_quiet(self) -> bool:
        pids = [self._llama.pid, *(p for p in children_of(self._gateway.pid) if "model_server" in command_of(p))]
        return all(_is_idle(pid) for pid in pids)


def _is_idle(pid: int) -> bool:
    """Tell whether no thread of a process wants a processor."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return "R" not in states
