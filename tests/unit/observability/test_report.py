"""What a finished request leaves behind: numbers and one line."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import (
    CredentialRefused,
    QuotaUsedUp,
    Rejected,
    ShuttingDown,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from gateway.core.exchange import AttemptRecord, Decision, Exchange, Meter, Outcome, Principal, RequestId, Timeline
from gateway.core.faults import Fault
from gateway.core.usage import Usage
from gateway.observability.metrics import Metrics, Samples
from gateway.observability.report import Reporter, fault_label, log_failed_attempt
from gateway.observability.request_log import RequestLog

PROMPT = "the secret plan"
KEY = "sk-client-key-12345678"


class HandClock:
    def monotonic(self) -> float:
        return 103.0

    def wall(self) -> float:
        return 1700000000.0


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.configure(models=["gpt-4o"], endpoints=["openai/gpt-4o"], pools=["strong"])
    return metrics


@pytest.fixture
def lines() -> Iterator[tuple[RequestLog, Callable[[], list[bytes]]]]:
    reader, writer = os.pipe()
    log = RequestLog(writer)

    def read() -> list[bytes]:
        log.close()
        return os.read(reader, 65536).splitlines()

    yield log, read
    log.close()
    os.close(reader)
    os.close(writer)


def stream() -> Exchange:
    """A stream of 11 tokens: asked at 100.0, first event at 100.4, the last one second later, over at 101.5."""
    body = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}).encode()
    timeline = Timeline(HandClock().monotonic, 100.0)
    timeline.first_content_at, timeline.last_content_at = 100.4, 101.4
    timeline.committed_at, timeline.finished_at = 100.4, 101.5
    timeline.waited_s = 1.498
    failed = AttemptRecord("openai/gpt-4o", 100.0, "failed", "upstream_timeout", "strong", "gpt-4o", "openai")
    failed.fault, failed.ended_at = Fault.FIRST_TOKEN, 100.1
    ok = AttemptRecord("openai/gpt-4o", 100.1, "ok", None, "strong", "gpt-4o", "openai")
    ok.usage, ok.cost_picodollars = Usage(input=90, cached_input=10, output=11), 2_500_000
    return Exchange(
        id=RequestId("r-1"),
        generation=7,
        method="POST",
        path="/v1/chat/completions",
        principal=Principal("acme", "9f2c01ab"),
        headers={"authorization": f"Bearer {KEY}"},
        request=ChatRequest(body, "/v1/chat/completions", "gpt-4o", stream=True),
        timeline=timeline,
        decision=Decision(route="direct"),
        attempts=[failed, ok],
        attempt=ok,
        meter=Meter(12, 900),
        status=200,
        outcome="ok",
    )


def file(exchange: Exchange, metrics: Metrics) -> Samples:
    Reporter(metrics, None, HandClock()).report(exchange)
    return msgspec.msgpack.decode(metrics.snapshot(), type=Samples)


async def file_line(exchange: Exchange, lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> dict[str, Any]:
    log, read = lines
    Reporter(Metrics(), log, HandClock()).report(exchange)
    (line,) = read()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_finished_stream_is_counted_everywhere(metrics: Metrics) -> None:
    samples = file(stream(), metrics)
    assert samples["llm_requests_total"]["gpt-4o", "200"] == [1]
    assert samples["llm_request_latency_seconds"]["gpt-4o",] == [0, 0, 0, 0, 1, *[0] * 8, 1.5]
    assert samples["llm_input_tokens_total"]["gpt-4o",] == [100]
    assert samples["llm_output_tokens_total"]["gpt-4o",] == [11]
    assert samples["llm_estimated_cost_dollars_total"]["gpt-4o",] == [2.5e-6]
    assert samples["gateway_attempts_total"]["openai/gpt-4o", "ok"] == [1]
    assert samples["gateway_attempts_total"]["openai/gpt-4o", "failed"] == [1]
    assert samples["gateway_attempt_faults_total"] == {("openai/gpt-4o", "first_token"): [1]}
    assert samples["gateway_request_outcomes_total"]["ok",] == [1]
    assert samples["gateway_time_to_first_token_seconds"]["gpt-4o",][-1] == pytest.approx(0.4)
    assert samples["gateway_time_per_output_token_seconds"]["gpt-4o",][-1] == pytest.approx(0.1)
    assert samples["gateway_overhead_seconds"][()][-1] == pytest.approx(0.002)
    assert samples["gateway_client_disconnects_total"][()] == [0]


def test_an_unstreamed_answer_has_no_token_times(metrics: Metrics) -> None:
    exchange = stream()
    exchange.request = ChatRequest(b"{}", "/v1/chat/completions", "gpt-4o")
    samples = file(exchange, metrics)
    assert sum(samples["gateway_time_to_first_token_seconds"]["gpt-4o",]) == 0
    assert sum(samples["gateway_time_per_output_token_seconds"]["gpt-4o",]) == 0


def test_a_stream_of_one_token_has_no_time_between_tokens(metrics: Metrics) -> None:
    exchange = stream()
    exchange.attempt.usage = Usage(input=1, output=1)
    assert sum(file(exchange, metrics)["gateway_time_per_output_token_seconds"]["gpt-4o",]) == 0


@pytest.mark.parametrize(
    ("outcome", "status", "committed_at", "counted"),
    [
        ("ok", 200, 100.4, "ok"),
        ("failed", 502, 0.0, "failed"),
        ("failed", 502, 100.4, "failed"),  # an error response is sent whole
        ("failed", 200, 100.4, "interrupted"),
        ("abandoned", 200, 100.4, "abandoned"),
    ],
)
def test_the_outcome_of_a_request_is_countable(
    metrics: Metrics, outcome: Outcome, status: int, committed_at: float, counted: str
) -> None:
    exchange = stream()
    exchange.outcome, exchange.status, exchange.timeline.committed_at = outcome, status, committed_at
    outcomes = file(exchange, metrics)["gateway_request_outcomes_total"]
    assert {labels[0] for labels, numbers in outcomes.items() if numbers == [1]} == {counted}


def test_a_latency_of_minutes_has_a_bucket(metrics: Metrics) -> None:
    exchange = stream()
    exchange.timeline.finished_at = 100.0 + 590.0
    counts = file(exchange, metrics)["llm_request_latency_seconds"]["gpt-4o",]
    assert counts[-3:] == [1, 0, 590.0]


@pytest.mark.parametrize(
    ("error", "level", "detail"),
    [
        (UpstreamTimeout("too slow", code="first_token_timeout", fault=Fault.FIRST_TOKEN), "WARNING", "too slow"),
        (UpstreamRateLimited("the provider is rate limited"), "INFO", "the provider is rate limited"),
        (QuotaUsedUp("no credit"), "ERROR", "no credit"),
        (CredentialRefused("the key is refused"), "ERROR", "the key is refused"),
        (Rejected(f"cannot answer {PROMPT}", status=400, body=b"", content_type=""), "INFO", None),
        (Unavailable("x" * 5000), "WARNING", "x" * 300),
    ],
)
def test_a_failed_attempt_is_an_event_of_the_log(
    error: UpstreamError, level: str, detail: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    attempt = AttemptRecord("openai/gpt-4o", 100.0, "failed", error.error_code, status=error.upstream_status or 0)
    attempt.fault = error.fault
    fields = log_failed_attempt("r-1", attempt, error)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, "attempt failed")
    assert fields.items() <= vars(record).items()
    assert (fields["request_id"], fields["endpoint"], fields["fault"]) == ("r-1", "openai/gpt-4o", error.fault.value)
    assert fields.get("detail") == detail
    assert PROMPT not in str(fields)


def test_a_fault_that_is_none_of_the_provider_s_has_its_code_as_label() -> None:
    assert fault_label(AttemptRecord("e", 0.0, "failed", "deadline_exceeded")) == "deadline_exceeded"
    assert fault_label(AttemptRecord("e", 0.0, "failed")) == "internal"


def test_a_client_that_left_is_counted(metrics: Metrics) -> None:
    exchange = stream()
    exchange.status, exchange.outcome = 499, "abandoned"
    samples = file(exchange, metrics)
    assert samples["llm_requests_total"]["gpt-4o", "499"] == [1]
    assert samples["gateway_client_disconnects_total"][()] == [1]


def test_a_client_cut_off_by_the_gateway_did_not_leave(metrics: Metrics) -> None:
    exchange = stream()
    exchange.outcome, exchange.cut = "abandoned", ShuttingDown("the gateway is stopping")
    assert file(exchange, metrics)["gateway_client_disconnects_total"][()] == [0]


@pytest.mark.parametrize(("asked", "shown"), [("gpt-4o", "gpt-4o"), ("no-such-model", "other")])
async def test_the_line_of_a_request_that_nobody_answered_names_the_model_asked_for(
    asked: str, shown: str, lines: tuple[RequestLog, Callable[[], list[bytes]]], metrics: Metrics
) -> None:
    log, read = lines
    exchange = stream()
    exchange.attempt, exchange.request = None, ChatRequest(b"{}", "/v1/chat/completions", asked)
    Reporter(metrics, log, HandClock()).report(exchange)
    (line,) = read()
    assert json.loads(line)["model"] == shown


def test_a_request_that_nobody_answered_counts_for_the_model_asked_for(metrics: Metrics) -> None:
    exchange = stream()
    exchange.attempt, exchange.status, exchange.outcome, exchange.meter = None, 503, "failed", Meter()
    assert file(exchange, metrics)["llm_requests_total"]["gpt-4o", "503"] == [1]


@pytest.mark.parametrize("model", ["made up by a client", ""])
def test_unknown_models_count_as_other(metrics: Metrics, model: str) -> None:
    exchange = stream()
    exchange.attempt, exchange.status, exchange.request = None, 404, ChatRequest(b"{}", "/v1/chat/completions", model)
    samples = file(exchange, metrics)
    assert samples["llm_requests_total"]["other", "404"] == [1]
    assert {labels[0] for labels in samples["llm_requests_total"]} == {"gpt-4o", "other"}


def test_a_request_refused_before_it_was_read_is_counted(metrics: Metrics) -> None:
    exchange = Exchange(
        RequestId("r-2"),
        7,
        "POST",
        "/v1/chat/completions",
        timeline=Timeline(HandClock().monotonic, 100.0),
        principal=Principal(),
        headers={},
        status=401,
        outcome="failed",
    )
    samples = file(exchange, metrics)
    assert samples["llm_requests_total"]["other", "401"] == [1]
    assert samples["llm_request_latency_seconds"]["other",][-1] == 3.0  # up to now: it has no end of its own


def test_clock_noise_makes_no_negative_overhead(metrics: Metrics) -> None:
    exchange = stream()
    exchange.timeline.waited_s = 1.6
    assert file(exchange, metrics)["gateway_overhead_seconds"][()][-1] == 0.0


async def test_the_line_says_what_happened(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    assert await file_line(stream(), lines) == {
        "time": "2023-11-14T22:13:20.000Z",
        "request_id": "r-1",
        "tenant": "acme",
        "key_id": "9f2c01ab",
        "path": "/v1/chat/completions",
        "route": "direct",
        "pool": "strong",
        "model": "gpt-4o",
        "provider": "openai",
        "attempts": 2,
        "failed_attempts": [{"endpoint": "openai/gpt-4o", "fault": "first_token", "status": 0, "ms": 100.0}],
        "status": 200,
        "outcome": "ok",
        "error": None,
        "provider_message": None,
        "stream": True,
        "input_tokens": 100,
        "output_tokens": 11,
        "is_estimated": False,
        "cost_usd": 2.5e-06,
        "duration_ms": 1500.0,
        "first_token_ms": 400.0,
        "overhead_ms": 2.0,
        "queued_ms": 0.0,
        "degraded": None,
        "bytes_in": 97,
        "bytes_out": 900,
        "config": 7,
    }


async def test_the_line_of_a_failure_names_its_code(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    exchange = stream()
    exchange.error, exchange.status, exchange.outcome = (
        UpstreamTimeout("too slow", code="first_token_timeout"),
        504,
        "failed",
    )
    exchange.meter, exchange.attempt = Meter(), exchange.attempts[0]
    exchange.timeline.first_content_at = 0.0
    fields = await file_line(exchange, lines)
    assert (fields["error"], fields["status"], fields["outcome"]) == ("first_token_timeout", 504, "failed")
    assert (fields["first_token_ms"], fields["input_tokens"]) == (None, 0)


async def test_the_line_of_a_failure_has_the_providers_words(
    lines: tuple[RequestLog, Callable[[], list[bytes]]],
) -> None:
    exchange = stream()
    error = UpstreamTimeout("too slow")
    error.provider_words = "the engine is overloaded"
    exchange.error, exchange.outcome = error, "failed"
    assert (await file_line(exchange, lines))["provider_message"] == "the engine is overloaded"


async def test_the_line_of_a_cut_request_names_why(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    exchange = stream()
    exchange.outcome, exchange.cut = "abandoned", ShuttingDown("the gateway is stopping")
    assert (await file_line(exchange, lines))["error"] == "shutting_down"


async def test_neither_prompt_nor_key_is_in_the_line(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    text = json.dumps(await file_line(stream(), lines))
    assert PROMPT not in text
    assert KEY not in text


async def test_the_text_format_is_for_people(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    log, read = lines
    exchange = stream()
    exchange.error = UpstreamTimeout("too slow")
    Reporter(Metrics(), log, HandClock(), format="text").report(exchange)
    assert read() == [
        b"2023-11-14T22:13:20.000Z 200 ok /v1/chat/completions direct/strong/gpt-4o 1500.0 ms"
        b" tokens=100+11 attempts=2 error=upstream_timeout failed=openai/gpt-4o:first_token id=r-1"
    ]


async def test_the_format_can_change_between_lines(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    log, read = lines
    reporter = Reporter(Metrics(), log, HandClock())
    reporter.report(stream())
    reporter.use_format("text")
    reporter.report(stream())
    first, second = read()
    assert first.startswith(b"{")
    assert second.startswith(b"2023-11-14T")


async def test_closing_writes_what_is_queued(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    log, read = lines
    reporter = Reporter(Metrics(), log, HandClock())
    reporter.report(stream())
    reporter.close()
    reporter.report(stream())
    assert log.dropped == 1
    assert len(read()) == 1


async def test_dropped_lines_show_in_the_metrics(lines: tuple[RequestLog, Callable[[], list[bytes]]]) -> None:
    log, _ = lines
    metrics = Metrics()
    reporter = Reporter(metrics, log, HandClock())
    log.close()
    reporter.report(stream())
    assert msgspec.msgpack.decode(metrics.snapshot(), type=Samples)["gateway_log_lines_dropped_total"] == {
        ("request",): [1],
        ("process",): [0],
    }
