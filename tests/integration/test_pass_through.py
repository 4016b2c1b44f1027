"""Passing through with real processes: memory that stays where it is, and the official client."""

import fcntl
import hashlib
import socket
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import Connection, fetch
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

MIB = 1 << 20
LARGE = 64 * MIB
GROWTH = 16 * MIB  # a quarter of what passes: mostly 3, but who has just started takes a few more by itself

CONFIG = """
providers:
  sim: {{kind: openai, url: "{url}", key: "${{SIM_KEY}}"}}
models:
  sim-tokens3: {{provider: sim, price: {{input: 1, output: 2}}}}
routes:
  - {{name: chat, match: [sim-tokens3], to: requested}}
  - {{name: rest, paths: ["/v1/files*", "/v1/audio/*", "/v1/images/*", /v1/moderations, /v1/rerank, "/v1/batches*"], provider: sim}}
"""


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(folder, CONFIG.format(url=simulator.url)) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="client-key-0123456789", max_retries=0) as client:
        yield client


# The official client


def test_files_go_up_and_come_down(client: openai.OpenAI) -> None:
    content = bytes(range(256)) * 1024
    made = client.files.create(file=("a.bin", content), purpose="batch")
    assert (made.bytes, made.filename) == (len(content), "a.bin")
    assert made.model_extra is not None and made.model_extra["sha256"] == hashlib.sha256(content).hexdigest()
    assert client.files.retrieve(made.id).id == made.id
    assert client.files.list().data == []
    assert len(client.files.content(made.id).read()) == len(content)
    assert client.files.delete(made.id).deleted


def test_speech_comes_as_it_is_made(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="sim-tokens20-rate40", voice="alloy", input="hello"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        times = [time.monotonic() for _ in answer.iter_bytes(1024)]
    assert len(times) == 20 and times[-1] - times[0] > 0.2


def test_sound_becomes_text(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="sim", file=("a.wav", b"RIFF" * 50_000))
    assert answer.text == "a.wav 200000 bytes"


def test_pictures_moderations_and_batches(client: openai.OpenAI) -> None:
    pictures = client.images.generate(model="sim", prompt="a cat", n=2)
    assert pictures.data is not None and len(pictures.data) == 2
    assert client.moderations.create(model="sim", input="a flag").results[0].flagged
    batch = client.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.retrieve(batch.id).id == batch.id
    assert client.batches.cancel(batch.id).id == batch.id


def test_what_no_route_names_is_an_error_that_the_client_knows(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.list()
    with pytest.raises(openai.APIStatusError) as caught:
        client.moderations.create(model="sim-error418", input="x")
    assert caught.value.status_code == 418


def test_a_ranking_is_charged_and_its_line_says_what_went_through(gateway: GatewayProcess) -> None:
    asked = {"model": "sim-tokens3", "query": "a b", "documents": ["a b", "c"]}
    answer = fetch(gateway.address, "/v1/rerank?a=1", asked, {"x-request-id": "ranking"})
    used = answer.json()["usage"]["total_tokens"]

    def line() -> dict[str, object] | None:
        return next((one for one in gateway.log_lines() if one.get("request_id") == "ranking"), None)

    found = wait_for(line, "the line of the request")
    assert found is not None
    expected = {
        "path": "/v1/rerank",
        "route": "rest",
        "pool": "sim/-",
        "provider": "sim",
        "model": "sim-tokens3",
        "input_tokens": used,
        "cost_usd": used / 10**6,
        "bytes_out": len(answer.body),
        "status": 200,
    }
    assert {name: found[name] for name in expected} == expected
    assert isinstance(found["bytes_in"], int) and found["bytes_in"] > 0


# Memory


@dataclass
class Slow:
    """A provider that takes or sends slowly, on a thread of its own."""

    port: int
    received: int = 0
    is_open: bool = True


@contextmanager
def slow_provider(bytes_per_s: int) -> Iterator[Slow]:
    """Take one upload at so many bytes a second for two seconds, then as fast as it comes, and answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow = Slow(listener.getsockname()[1])

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                began = time.monotonic()
                while slow.received < LARGE:
                    data = connection.recv(65536)
                    if not data:
                        break
                    slow.received += len(data)
                    if (elapsed := time.monotonic() - began) < 2:
                        time.sleep(max(0.0, slow.received / bytes_per_s - elapsed))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield slow
        thread.join(20)
        assert not thread.is_alive()


def most_rss(gateway: GatewayProcess, until: threading.Event) -> int:
    most = 0
    while not until.wait(0.02):
        most = max(most, gateway.rss())
    return most


def test_a_large_upload_to_a_slow_provider_is_never_held(tmp_path: Path) -> None:
    with slow_provider(4 * MIB) as slow:
        config = CONFIG.format(url=f"http://127.0.0.1:{slow.port}/v1")
        with running_gateway(tmp_path, config) as gateway, Connection(gateway.address) as client:
            fetch(gateway.address, "/v1/models")
            before, done, most = gateway.rss(), threading.Event(), [0]
            watcher = threading.Thread(target=lambda: most.append(most_rss(gateway, done)))
            watcher.start()
            client.send(b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % LARGE)
            for _ in range(LARGE // MIB):
                client.send(b"x" * MIB)
            answer = client.read_answer()
            done.set()
            watcher.join()
            assert (answer.status, slow.received >= LARGE) == (200, True)
            assert max(most) - before < GROWTH
            client.close()


def waiting_at(client: Connection) -> int:
    """Give how many bytes have come for a client that has not read them."""
    return int.from_bytes(fcntl.ioctl(client.socket, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_a_large_download_to_a_client_that_does_not_read_is_never_held(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    fetch(gateway.address, "/v1/files/file-sim-1-1000/content")
    before = gateway.rss()
    with Connection(gateway.address) as client:
        client.request("GET", f"/v1/files/file-sim-1-{LARGE}/content")
        came, before_that = 0, -1
        while not came or came != before_that:  # until nothing more fits between the two
            time.sleep(0.2)
            came, before_that = waiting_at(client), came
        assert came < LARGE // 2
        assert gateway.rss() - before < GROWTH
        answer = client.read_answer()
    assert len(answer.body) == LARGE
    assert answer.header("content-length") in (None, str(LARGE))
