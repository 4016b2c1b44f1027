"""Streams through the real gateway: every byte, every way to break, every clock, and a reader that is slow."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import sse
from tests.support.gateway import GatewayProcess, running_gateway, simulator_config
from tests.support.http import CHAT, Answer, Connection, Truncated, ask, chat_body, fetch
from tests.support.simulator import SimulatorProcess


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), simulator_config(simulator.url)) as process:
        yield process


def stream(gateway: GatewayProcess, model: str, **fields: Any) -> Answer:
    return ask(gateway.address, model, stream=True, **fields)


def anonymous(body: bytes) -> bytes:
    """Give a body without what makes two answers of the simulator differ."""
    return re.sub(rb'"(id|created)":("[^"]*"|\d+)', rb'"\1":0', body)


def assert_same(ours: bytes, direct: bytes, model: str) -> None:
    """Compare two streams of one model, byte for byte; where a CRLF can be cut in two, event by event."""
    ours, direct = anonymous(ours), anonymous(direct)
    if "crlf" in model:
        assert sse.split(ours) == sse.split(direct)
    else:
        assert ours == direct


# Every byte


@pytest.mark.parametrize(
    "model",
    [
        "sim-tokens40",
        "sim-tokens40-tricky",
        "sim-tokens3-bytes1M",
        "sim-tokens40-crlf",
        "sim-tokens40-comments",
        "sim-tokens10-chunk1",
        "sim-tokens10-chunk1-crlf-comments-tricky",
        "sim-tokens40-chunk7",
        "sim-tokens40-chunk97",
        "sim-tokens40-join3",
        "sim-tokens40-join1k",
        "sim-tokens3000-join100-chunk65536",
        "sim-tokens20-tools3",
        "sim-tokens20-no_role",
        "sim-tokens20-bare_usage",
        "sim-tokens0",
    ],
)
def test_a_stream_arrives_byte_for_byte_however_it_is_cut_up(
    gateway: GatewayProcess, simulator: SimulatorProcess, model: str
) -> None:
    options = {"include_usage": True}
    ours = stream(gateway, model, stream_options=options)
    direct = ask(simulator.address, model, stream=True, stream_options=options)
    assert_same(ours.body, direct.body, model)
    assert sse.is_complete(ours.body)


@pytest.mark.parametrize(
    "model", ["sim-tokens20", "sim-tokens20-crlf-chunk1", "sim-tokens20-bare_usage", "sim-tokens20-join4"]
)
def test_usage_that_the_client_did_not_ask_for_is_asked_for_and_taken_out(
    gateway: GatewayProcess, simulator: SimulatorProcess, model: str
) -> None:
    ours = stream(gateway, model)
    assert b'"stream_options":{"include_usage":true}' in simulator.recorded(model)[1]
    direct = ask(simulator.address, model, stream=True)
    assert_same(ours.body, direct.body, model)
    assert b'"usage"' not in ours.body


def test_a_stream_is_sent_as_one(gateway: GatewayProcess) -> None:
    head = stream(gateway, "sim-tokens2").head
    assert (head.status, head.get("content-type")) == (200, "text/event-stream")
    assert (head.get("cache-control"), head.get("x-accel-buffering")) == ("no-cache", "no")
    assert head.get("transfer-encoding") == "chunked" and head.get("content-length") is None


def test_no_event_waits_for_the_next(gateway: GatewayProcess) -> None:
    with Connection(gateway.address) as connection:
        connection.request("POST", CHAT, chat_body("sim-tokens3-rate2", stream=True))
        connection.read_head()
        began = time.monotonic()
        connection.read_until("café".encode())
        assert 0.3 < time.monotonic() - began < 0.9
        connection.read_until(b"dolor")
        assert time.monotonic() - began < 1.4


def test_one_connection_carries_many_streams(gateway: GatewayProcess) -> None:
    with Connection(gateway.address) as connection:
        for number in range(20):
            connection.request("POST", CHAT, chat_body(f"sim-tokens5-seed{number}", stream=number % 2 == 0))
            answer = connection.read_answer()
            assert answer.status == 200
            assert f"sim-tokens5-seed{number}".encode() in answer.body


# Every way to break, once the client has something


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("sim-tokens9-cut_after3", "lorem café dolor "),
        ("sim-tokens9-cut_inside3", "lorem café dolor "),
        ("sim-tokens9-end_after3", "lorem café dolor "),
        ("sim-tokens9-cut_after9", "lorem café dolor naïve amet 日本語 elit Zürich tempor "),
        ("sim-tokens9-cut_after3-crlf-chunk3", "lorem café dolor "),
    ],
)
def test_a_broken_stream_ends_with_an_error_and_never_looks_complete(
    gateway: GatewayProcess, model: str, text: str
) -> None:
    answer = stream(gateway, model)
    *chunks, last = sse.data_events(answer.body)
    assert last.json()["error"]["code"] == "stream_interrupted"
    assert not sse.is_complete(answer.body) and b'finish_reason":"' not in answer.body
    assert "".join(chunk.json()["choices"][0]["delta"].get("content", "") for chunk in chunks) == text


def test_an_error_inside_a_stream_is_the_last_that_comes(gateway: GatewayProcess) -> None:
    answer = stream(gateway, "sim-tokens9-fail_after3")
    errors = [event for event in sse.data_events(answer.body) if "error" in event.json()]
    assert len(errors) == 1 and errors[0].json()["error"]["message"] == "simulated failure in the stream"
    assert sse.data_events(answer.body)[-1] == errors[0]


def test_a_finished_stream_without_done_is_completed(gateway: GatewayProcess) -> None:
    assert sse.is_complete(stream(gateway, "sim-tokens3-no_done").body)


# Before the first content it is a status, whatever has come by then


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("sim-cut_head", 502, "upstream_unavailable"),
        ("sim-cut_after0", 502, "upstream_unavailable"),
        ("sim-cut_inside0", 502, "upstream_unavailable"),
        ("sim-end_after0", 502, "upstream_protocol_error"),
        ("sim-fail_after0", 502, "upstream_unavailable upstream_protocol_error"),
        ("sim-html", 502, "upstream_protocol_error"),
        ("sim-garbage", 502, "upstream_protocol_error"),
        ("sim-gzip", 502, "upstream_protocol_error"),
        ("sim-huge_line20M", 502, "upstream_protocol_error"),
        ("sim-tokens1-bytes9M", 502, "upstream_protocol_error"),
        ("sim-error302", 502, "upstream_protocol_error"),
    ],
)
def test_a_stream_that_fails_before_its_first_content_is_an_http_error(
    gateway: GatewayProcess, model: str, status: int, code: str
) -> None:
    answer = stream(gateway, model)
    assert answer.status == status and answer.error()["code"] in code.split()


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sim-cut_head", "upstream_unavailable"),
        ("sim-cut_after1", "upstream_unavailable"),
        ("sim-html", "upstream_protocol_error"),
        ("sim-garbage", "upstream_protocol_error"),
        ("sim-gzip", "upstream_protocol_error"),
        ("sim-long_length5", "upstream_unavailable"),
    ],
)
def test_an_unstreamed_answer_that_breaks_is_an_http_error(gateway: GatewayProcess, model: str, code: str) -> None:
    answer = ask(gateway.address, model)
    assert answer.status == 502
    assert answer.error()["code"] in (code, "upstream_protocol_error")


@pytest.mark.parametrize("fault", ["surplus50k", "close", "long_length9", "garbage"])
def test_no_byte_of_one_answer_is_found_in_the_next(gateway: GatewayProcess, fault: str) -> None:
    for is_stream in (True, False):
        for number in range(5):
            ask(gateway.address, f"sim-tokens2-{fault}", stream=is_stream)
            model = f"sim-tokens2-seed{number}"
            answer = ask(gateway.address, model, stream=is_stream)
            if fault == "surplus50k" and answer.status == 502:
                continue  # bytes that come behind the next request are that one's misfortune, but never its answer
            assert answer.status == 200 and model.encode() in answer.body and b"xxx" not in answer.body


def test_a_pooled_connection_that_the_provider_closed_costs_no_request(gateway: GatewayProcess) -> None:
    assert [ask(gateway.address, "sim-tokens1-close").status for _ in range(30)] == [200] * 30


# Failover


def failover(simulator: SimulatorProcess, first: str, good: str, timeout: str = "{}") -> str:
    """Give a configuration in which `auto` is answered by a model that fails, then by one that does not."""
    return f"""
providers:
  sim: {{kind: openai, url: "{simulator.url}", key: "${{SIM_KEY}}"}}
  gone: {{kind: openai, url: "http://127.0.0.1:1/v1", key: "${{SIM_KEY}}"}}
models:
  first: {{provider: {"gone" if first == "gone" else "sim"}, id: {first}, price: {{input: 1, output: 2}}, quality: 0.9}}
  second: {{provider: sim, id: {good}, price: {{input: 1, output: 2}}, quality: 0.5}}
pools:
  strong: {{members: [first], then: cheap}}
  cheap: {{members: [second]}}
defaults: {{breaker: none, retry: none, timeout: {timeout}}}
routes:
  - {{name: auto, match: [auto], to: strong}}
"""


@pytest.fixture(scope="module")
def failing_over(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("failover"), failover(simulator, "gone", "sim-seed400")) as process:
        yield process


def reconfigure(gateway: GatewayProcess, body: str) -> None:
    gateway.write_config(body)
    outcome = gateway.admin("/admin/reload", post=True).json()
    assert outcome["ok"], outcome


EARLY_FAULTS = [
    "gone", "sim-error500", "sim-error503", "sim-error401", "sim-cut_head", "sim-cut_after0", "sim-html", "sim-garbage",
    "sim-stall_head", "sim-stall_after0",
]  # fmt: skip
EARLY_FAULTS_OF_STREAMS = ["sim-fail_after0", "sim-end_after0"]


@pytest.mark.parametrize(
    ("first", "is_stream"),
    [
        *((fault, False) for fault in EARLY_FAULTS),
        *((fault, True) for fault in EARLY_FAULTS + EARLY_FAULTS_OF_STREAMS),
    ],
)
def test_what_fails_before_the_first_content_is_answered_by_the_next_pool(
    failing_over: GatewayProcess, simulator: SimulatorProcess, first: str, is_stream: bool
) -> None:
    timeout = "{first_token: 300ms, answer: 300ms, idle: 300ms}"
    reconfigure(failing_over, failover(simulator, first, "sim-tokens4-seed401", timeout))
    answer = ask(failing_over.address, "auto", stream=is_stream)
    assert answer.status == 200
    assert b"sim-tokens4-seed401" in answer.body and first.encode() not in answer.body
    names = ("x-gateway-route", "x-gateway-pool", "x-gateway-model", "x-gateway-attempts")
    *way, attempts = [answer.header(name) for name in names]
    assert way == ["auto", "cheap", "second"]
    assert attempts == "2" or (attempts, first) == ("3", "sim-cut_head")  # sent again where a kept connection closes
    if is_stream:
        assert sse.is_complete(answer.body)
        roles = [c for c in sse.chunks_of(answer.body) if c["choices"][0]["delta"].get("role")]
        assert len(roles) == 1, "the role of the answer that failed was held back"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_at_fault_is_not_asked_of_anybody_else(
    failing_over: GatewayProcess, simulator: SimulatorProcess, status: int
) -> None:
    good = f"sim-seed5{status}"
    reconfigure(failing_over, failover(simulator, f"sim-error{status}", good))
    answer = ask(failing_over.address, "auto")
    assert answer.status == status and answer.header("x-gateway-attempts") == "1"
    assert answer.error()["message"] == f"simulated error {status}"
    assert simulator.stats(good)["requests"] == 0


def test_nothing_is_asked_again_once_the_client_has_content(
    failing_over: GatewayProcess, simulator: SimulatorProcess
) -> None:
    reconfigure(failing_over, failover(simulator, "sim-cut_after1", "sim-seed601"))
    answer = ask(failing_over.address, "auto", stream=True)
    assert answer.status == 200 and sse.data_events(answer.body)[-1].json()["error"]
    assert simulator.stats("sim-seed601")["requests"] == 0


def test_when_all_fail_the_last_error_is_told(failing_over: GatewayProcess, simulator: SimulatorProcess) -> None:
    reconfigure(failing_over, failover(simulator, "sim-error500", "sim-error503-retry_after9s"))
    answer = ask(failing_over.address, "auto")
    assert (answer.status, answer.header("retry-after"), answer.header("x-gateway-attempts")) == (503, "9", "2")


# Clocks and signs of life


@pytest.mark.parametrize(
    ("model", "is_stream", "timeout", "code"),
    [
        ("sim-stall_head", True, "{first_token: 300ms}", "first_token_timeout"),
        ("sim-stall_after0", True, "{first_token: 300ms}", "first_token_timeout"),
        ("sim-stall_head", False, "{answer: 300ms}", "answer_timeout"),
        ("sim-stall_after1", False, "{idle: 300ms}", "idle_timeout"),
        ("sim-stall_head", True, "{total: 300ms}", "total_timeout"),
    ],
)
def test_a_clock_that_runs_out_before_the_answer_is_504(
    failing_over: GatewayProcess, simulator: SimulatorProcess, model: str, is_stream: bool, timeout: str, code: str
) -> None:
    reconfigure(failing_over, failover(simulator, model, model, timeout))
    began = time.monotonic()
    answer = ask(failing_over.address, "auto", stream=is_stream)
    assert (answer.status, answer.error()["code"]) == (504, code)
    assert 0.25 < time.monotonic() - began < 2.6


@pytest.mark.parametrize(
    ("model", "timeout", "code"),
    [
        ("sim-stall_after2-seed701", "{idle: 300ms}", "idle_timeout"),
        ("sim-tokens900-rate20-seed702", "{total: 500ms}", "total_timeout"),
    ],
)
def test_a_clock_that_runs_out_in_a_stream_is_an_error_event(
    failing_over: GatewayProcess, simulator: SimulatorProcess, model: str, timeout: str, code: str
) -> None:
    reconfigure(failing_over, failover(simulator, model, model, timeout))
    answer = ask(failing_over.address, "auto", stream=True)
    assert answer.status == 200
    assert sse.data_events(answer.body)[-1].json()["error"]["code"] == code
    assert simulator.wait_until("aborted", 1, model)["active"] == 0


def test_comments_keep_a_silent_stream_alive_between_events_only(
    failing_over: GatewayProcess, simulator: SimulatorProcess
) -> None:
    body = failover(simulator, "sim-tokens3-rate3-chunk9", "sim")
    reconfigure(failing_over, body.replace("breaker: none", "breaker: none, keepalive: {every: 100ms}"))
    answer = ask(failing_over.address, "auto", stream=True)
    events = sse.split(answer.body)
    first_comment = next(index for index, event in enumerate(events) if event.is_comment)
    first_content = next(i for i, e in enumerate(events) if not e.is_comment and b"lorem" in e.data.encode())
    assert first_comment > first_content
    assert sum(event.is_comment for event in events) >= 3
    assert sse.text_of(answer.body) == "lorem café dolor " and sse.is_complete(answer.body)


def test_early_comments_commit_the_answer_and_make_errors_events(
    failing_over: GatewayProcess, simulator: SimulatorProcess
) -> None:
    early = "breaker: none, keepalive: {every: 100ms, early: true}"
    body = failover(simulator, "sim-stall_head", "sim-stall_head", "{first_token: 400ms}")
    reconfigure(failing_over, body.replace("breaker: none", early, 1).replace("{breaker: none,", "{"))
    answer = ask(failing_over.address, "auto", stream=True)
    events = sse.split(answer.body)
    assert answer.status == 200 and events[0].is_comment
    assert events[-1].json()["error"]["code"] == "first_token_timeout"


# A reader that is slow


def test_a_slow_reader_slows_the_provider_and_costs_no_memory(
    simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """10 KB/s from a stream of 200 MB for some seconds: neither the gateway nor the provider runs ahead."""
    model = "sim-tokens10k-bytes20k-seed801"
    with running_gateway(tmp_path_factory.mktemp("slow"), simulator_config(simulator.url)) as gateway:
        ask(gateway.address, "sim-tokens3000", stream=True)
        gateway.admin(
            "/metrics"
        )  # control loads its admin surface after `/ready`: from here on nothing is loaded any more
        before = gateway.rss()
        with Connection(gateway.address, receive_buffer=16384) as connection:
            connection.request("POST", CHAT, chat_body(model, stream=True))
            connection.read_head()
            until, highest = time.monotonic() + 6, 0
            while time.monotonic() < until:
                assert connection.socket.recv(1000)
                highest = max(highest, gateway.rss())
                time.sleep(0.1)
            assert (highest - before) / 2**20 <= 5
            assert simulator.stats(model)["bytes"] < 4 * 2**20
        simulator.wait_until("aborted", 1, model)


def test_a_client_that_takes_nothing_is_cut(
    simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = "limits: {write_timeout: 500ms}"
    body = simulator_config(simulator.url).replace("breaker: none", "breaker: none, timeout: {idle: 500ms}")
    model = "sim-tokens10k-bytes20k-seed811"
    with (
        running_gateway(tmp_path_factory.mktemp("stuck"), body, server=server) as gateway,
        Connection(gateway.address, receive_buffer=16384) as connection,
    ):
        connection.request("POST", CHAT, chat_body(model, stream=True))
        simulator.wait_until("aborted", 1, model)
        connection.read_head()
        with pytest.raises(Truncated):
            for _ in connection.read_chunks():
                pass


def test_a_small_limit_on_events_holds_in_the_middle_of_a_stream(
    simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = "limits: {event: 64KiB}"
    with running_gateway(tmp_path_factory.mktemp("small"), simulator_config(simulator.url), server=server) as gateway:
        assert sse.is_complete(fetch(gateway.address, CHAT, chat_body("sim-bytes60k", stream=True)).body)
        answer = fetch(gateway.address, CHAT, chat_body("sim-bytes1M", stream=True))
        assert answer.status == 502 and answer.error()["code"] == "upstream_protocol_error"
