"""The faults of providers through the whole gateway: what the client gets, who is asked, and what the breaker makes of it.

Each fault is met four times: streamed and not, in a pool alone and in one that has a `then:`. Every time it is another endpoint,
with a breaker of its own that opens at exactly as many failures as are expected to count, or at the first where none is.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.bench.fuzz_upstream import aftermath
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.hostile_provider import HostileProvider, HostileReply
from tests.support.http import Answer, ask
from tests.support.processes import free_port
from tests.support.sse import DONE, chunks_of, data_events, is_complete, text_of

ATTEMPTS = 3  # `retry.attempts`
LINE = 10 * 2**20  # bytes

# What providers do


def document(content: str) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()


def event(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return b"data: %b\n\n" % json.dumps({"choices": [delta]}).encode()


def answer(
    body: bytes, status: bytes = b"200 OK", lines: bytes = b"", content_type: bytes = b"application/json"
) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n"
    return head % (status, content_type, len(body), lines) + body


def refusal(status: bytes, code: str = "x", lines: bytes = b"") -> HostileReply:
    error = {"message": "in the provider's own words", "type": "t", "param": None, "code": code}
    return HostileReply((answer(json.dumps({"error": error}).encode(), status, lines),))


def chunked(*parts: bytes, content_type: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % content_type
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


SSE = b"text/event-stream"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"  # its end is the end of the connection
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
END = b"data: [DONE]\n\n"
WHOLE = STREAM + ROLE + event("hello") + FINISH + END
HALF = document("hello")[:-10]
ERROR = b'{"error": {"message": "overloaded", "type": "server_error", "param": null, "code": null}}'
GOOD = {"json": HostileReply((answer(document("hello")),)), "stream": HostileReply((WHOLE,), "close")}
ZIPPED = gzip.compress(document("hello"))
KEPT_STREAM = HostileReply((chunked(ROLE, event("hello"), FINISH, END, content_type=SSE) + b"0\r\n\r\n",))
NOTHING = HostileReply((b"",), "stall")
RESET = HostileReply((b"",), "reset")
RESET_IN_HEAD = HostileReply((b"HTTP/1.1 200 OK\r\ncontent-ty",), "reset")
HTML = HostileReply((answer(b"<html></html>", content_type=b"text/html"),))
LONG_LINE = document("x" * LINE)

# What is declared

Mode = Literal["json", "stream"]
Told = str | tuple[int, str]  # `answered`, the code of an event behind content, or a status and its code
Breaker = Literal["counts", "forgives", "ignores"]  # forgives: counted until an answer came


@dataclass(frozen=True, slots=True)
class Case:
    """A fault in one mode. `deeds` are done in turn, the last of them again and again; none: nobody listens."""

    deeds: tuple[HostileReply, ...]
    told: Told
    attempts: int
    breaker: Breaker
    fallback: bool  # whether the next pool is asked
    timeout: str = ""
    requests: int | None = None  # that reach the provider, where they are not as many as the attempts
    before: int = 0  # good requests before it


CONNECT, GONE, MALFORMED = (502, "upstream_connect"), (502, "upstream_unavailable"), (502, "upstream_protocol_error")
SHORT_FIRST = "first_token: 200ms, answer: 200ms"
SHORT_IDLE = "idle: 200ms"
ALL = ATTEMPTS

CASES: dict[str, tuple[Case, Case]] = {  # unstreamed, streamed
    #                          what the provider does                     told  attempts  breaker  fallback
    "refuse": (
        Case((), CONNECT, ALL, "counts", True, requests=0),
        Case((), CONNECT, ALL, "counts", True, requests=0),
    ),
    "reset-before-headers": (
        Case((RESET,), GONE, ALL, "counts", True),
        Case((RESET,), GONE, ALL, "counts", True),
    ),
    "reset-mid-headers": (
        Case((RESET_IN_HEAD,), GONE, ALL, "counts", True),
        Case((RESET_IN_HEAD,), GONE, ALL, "counts", True),
    ),
    "429-with-a-long-retry-after": (
        Case((refusal(b"429 No", lines=b"retry-after: 60\r\n"),), (429, "rate_limit_exceeded"), 1, "ignores", True),
        Case((refusal(b"429 No", lines=b"retry-after: 60\r\n"),), (429, "rate_limit_exceeded"), 1, "ignores", True),
    ),
    "500": (
        Case((refusal(b"500 No"),), (500, "upstream_unavailable"), ALL, "counts", True),
        Case((refusal(b"500 No"),), (500, "upstream_unavailable"), ALL, "counts", True),
    ),
    "503-twice-then-ok": (
        Case((refusal(b"503 No"), refusal(b"503 No"), GOOD["json"]), "answered", 3, "forgives", False),
        Case((refusal(b"503 No"), refusal(b"503 No"), GOOD["stream"]), "answered", 3, "forgives", False),
    ),
    "200-with-an-error-body": (
        Case((HostileReply((answer(ERROR),)),), GONE, ALL, "counts", True),
        Case((HostileReply((STREAM + ROLE + b"data: " + ERROR + b"\n\n",), "close"),), GONE, ALL, "counts", True),
    ),
    "200-with-an-event-named-error": (
        Case((HostileReply((answer(b'{"error": "overloaded"}'),)),), GONE, ALL, "counts", True),
        Case((HostileReply((STREAM + b"event: error\ndata: overloaded\n\n",), "close"),), GONE, ALL, "counts", True),
    ),
    "html-with-200": (
        Case((HTML,), MALFORMED, ALL, "counts", True),
        Case((HTML,), MALFORMED, ALL, "counts", True),
    ),
    "garbage-json": (
        Case((HostileReply((answer(b'{"choices": [{]}'),)),), MALFORMED, ALL, "counts", True),
        Case((HostileReply((STREAM + b'data: {"choices": [{]}\n\n',), "close"),), MALFORMED, ALL, "counts", True),
    ),
    "stall-before-first-token": (
        Case((NOTHING,), (504, "answer_timeout"), 1, "counts", True, SHORT_FIRST),
        Case((HostileReply((STREAM + ROLE,), "stall"),), (504, "first_token_timeout"), 1, "counts", True, SHORT_FIRST),
    ),
    "stall-mid-stream": (
        Case((HostileReply((UNFRAMED + HALF,), "stall"),), (504, "idle_timeout"), 1, "counts", True, SHORT_IDLE),
        Case((HostileReply((STREAM + event("hello"),), "stall"),), "idle_timeout", 1, "counts", False, SHORT_IDLE),
    ),
    "cut-mid-stream": (
        Case((HostileReply((answer(document("hello"))[:-10],), "close"),), GONE, ALL, "counts", True),
        Case((HostileReply((STREAM + event("hello"),), "close"),), "stream_interrupted", 1, "counts", False),
    ),
    "truncated-chunk": (
        Case(
            (HostileReply((chunked(HALF, content_type=b"application/json") + b"a\r\nxyz",), "close"),),
            GONE,
            ALL,
            "counts",
            True,
        ),
        Case(
            (HostileReply((chunked(event("hello"), content_type=SSE) + b'ff\r\ndata: {"c',), "close"),),
            "stream_interrupted",
            1,
            "counts",
            False,
        ),
    ),
    "missing-done": (
        Case((HostileReply((UNFRAMED + document("hello"),), "close"),), "answered", 1, "ignores", False),
        Case((HostileReply((STREAM + event("hello") + FINISH,), "close"),), "answered", 1, "ignores", False),
    ),
    "line-of-10-mb": (
        Case((HostileReply((answer(LONG_LINE),)),), "answered", 1, "ignores", False),
        Case((HostileReply((STREAM + event("x" * LINE),), "close"),), MALFORMED, ALL, "counts", True),
    ),
    "infinite-stream": (
        Case((HostileReply((UNFRAMED + b"{", b" " * 2**20), again=True),), MALFORMED, ALL, "counts", True),
        Case(
            (HostileReply((STREAM, event("hello")), pause_s=0.02, again=True),),
            "total_timeout",
            1,
            "ignores",
            False,
            "total: 500ms",
        ),
    ),
    "gzip": (
        Case((HostileReply((answer(ZIPPED, lines=b"content-encoding: gzip\r\n"),)),), MALFORMED, ALL, "counts", True),
        Case(
            (HostileReply((answer(gzip.compress(WHOLE), lines=b"content-encoding: gzip\r\n", content_type=SSE),)),),
            MALFORMED,
            ALL,
            "counts",
            True,
        ),
    ),
    "stale-keep-alive": (
        Case(
            (GOOD["json"], HostileReply((b"",), "close"), GOOD["json"]),
            "answered",
            2,  # the one whose connection was closed is an attempt too
            "ignores",
            False,
            requests=3,
            before=1,
        ),
        Case(
            (KEPT_STREAM, HostileReply((b"",), "close"), GOOD["stream"]),
            "answered",
            2,  # the one whose connection was closed is an attempt too
            "ignores",
            False,
            requests=3,
            before=1,
        ),
    ),
}

# Refusals are the same for streams and others: there is no stream yet.
REFUSALS: dict[str, Case] = {
    "429-with-a-short-retry-after": Case(
        (refusal(b"429 No", lines=b"retry-after: 0.1\r\n"),), (429, "rate_limit_exceeded"), ALL, "ignores", True
    ),
    "429-quota": Case((refusal(b"429 No", "insufficient_quota"),), (429, "upstream_quota_used_up"), 1, "ignores", True),
    "401": Case((refusal(b"401 No"),), (502, "upstream_credential_refused"), 1, "ignores", True),
    "402": Case((refusal(b"402 No", "out_of_credit"),), (429, "upstream_quota_used_up"), 1, "ignores", True),
    "404": Case((refusal(b"404 No", "unknown"),), (404, "unknown"), 1, "ignores", False),
    "context-length": Case(
        (refusal(b"400 No", "context_length_exceeded"),), (400, "context_length_exceeded"), 1, "ignores", True
    ),
    "content-policy": Case((refusal(b"400 No", "content_filter"),), (400, "content_filter"), 1, "ignores", False),
    "redirect": Case((refusal(b"307 No", lines=b"location: /\r\n"),), MALFORMED, ALL, "counts", True),
}

MODES: tuple[Mode, Mode] = ("json", "stream")
WAYS: tuple[Literal["alone", "then"], ...] = ("alone", "then")
MATRIX: dict[str, tuple[Case, Mode]] = {
    **{f"{name}-{mode}": (case, mode) for name, both in CASES.items() for mode, case in zip(MODES, both, strict=True)},
    **{f"{name}-{mode}": (case, mode) for name, case in REFUSALS.items() for mode in MODES},
}


def model_of(name: str, way: str) -> str:
    return f"{name}--{way}"


class Provider(HostileProvider):
    """Does for each model what its case says, deed by deed."""

    def __init__(self) -> None:
        super().__init__(self._next)

    def _next(self, model: str) -> HostileReply:
        deeds = MATRIX[model.rpartition("--")[0]][0].deeds
        return deeds[min(self.requests[model], len(deeds)) - 1]


def configuration(bad: str, dead: str, spare: str) -> str:
    """Give a pool for each case and way, with one member that has an endpoint of its own."""
    price = "price: {input: 1, output: 2}, quality: 0.5"
    models, pools, routes = [], [], []
    for name, (case, mode) in MATRIX.items():
        failures = {"counts": case.attempts, "forgives": ATTEMPTS, "ignores": 1}[case.breaker]
        for way in WAYS:
            model = model_of(name, way)
            models.append(
                f'  "{model}": {{provider: {"bad" if case.deeds else "dead"}, {price}, context: 4k,'
                f" breaker: {{failures: {failures}}}, timeout: {{{case.timeout}}}}}"
            )
            pools.append(f'  "p-{model}": {{members: ["{model}"]{f", then: {mode}" if way == "then" else ""}}}')
            routes.append(f'  - {{name: "r-{model}", match: ["a-{model}"], to: "p-{model}"}}')
    return "\n".join(
        [
            "providers:",
            *(
                f'  {name}: {{kind: openai, url: "{url}"}}'
                for name, url in (("bad", bad), ("dead", dead), ("spare", spare))
            ),
            "models:",
            *(f"  spare-{mode}: {{provider: spare, {price}, context: 100k}}" for mode in MODES),
            *models,
            "defaults:",
            f"  retry: {{attempts: {ATTEMPTS}, backoff: 5ms, backoff_cap: 20ms}}",
            "  timeout: {connect: 5s, first_token: 8s, answer: 8s, idle: 8s, total: 30s}",
            "pools:",
            *(f"  {mode}: {{members: [spare-{mode}]}}" for mode in MODES),
            *pools,
            "routes:",
            *routes,
        ]
    )


@pytest.fixture(scope="module")
def bad() -> Iterator[Provider]:
    with Provider() as one:
        yield one


@pytest.fixture(scope="module")
def spare() -> Iterator[HostileProvider]:
    with HostileProvider(lambda model: GOOD["stream" if model.endswith("stream") else "json"]) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(
    bad: Provider, spare: HostileProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    body = configuration(bad.url, f"http://127.0.0.1:{free_port()}/v1", spare.url)
    limits = "limits: {answer: 16MiB, event: 8MiB}"
    with running_gateway(tmp_path_factory.mktemp("matrix"), body, server=limits) as process:
        workers = process.worker_pids
        yield process
        assert list(aftermath(process, workers)) == []


def told(got: Answer, mode: Mode) -> Told:
    """Say what the client was told, in the words of the table."""
    if got.status != 200:
        return got.status, got.error()["code"]
    if mode == "json":
        assert got.json()["choices"][0]["message"]["content"].strip("x") in ("hello", "")
        return "answered"
    *chunks, last = chunks_of(got.body)
    assert text_of(got.body).startswith("hello")
    if "error" in last:
        assert DONE not in [one.data for one in data_events(got.body)], "a torn stream does not look whole"
        return str(last["error"]["code"])
    assert chunks and is_complete(got.body)
    return "answered"


def is_open(gateway: GatewayProcess, model: str) -> bool:
    metrics = gateway.admin("/metrics").body.decode()
    (state,) = re.findall(rf'^gateway_breaker_state\{{endpoint="\w+/{re.escape(model)}"\}} (\d)', metrics, re.MULTILINE)
    return state == "1"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MATRIX)
def test_a_fault_has_its_declared_outcome(
    gateway: GatewayProcess, bad: Provider, spare: HostileProvider, name: str, way: str
) -> None:
    case, mode = MATRIX[name]
    model = model_of(name, way)
    fields = {"stream": True} if mode == "stream" else {}
    for _ in range(case.before):
        assert ask(gateway.address, f"a-{model}", **fields).status == 200
    before = spare.requests.get(f"spare-{mode}", 0)
    falls_back = way == "then" and case.fallback

    got = ask(gateway.address, f"a-{model}", **fields)

    assert told(got, mode) == ("answered" if falls_back else case.told)
    attempts = in_pool(name, case, way)
    assert got.header("x-gateway-attempts") == str(attempts + falls_back)
    assert got.header("x-gateway-model") == (f"spare-{mode}" if falls_back else model)
    assert got.header("x-gateway-pool") == (mode if falls_back else f"p-{model}")
    assert bad.requests.get(model, 0) == (attempts if case.requests is None else case.requests)
    assert spare.requests.get(f"spare-{mode}", 0) == before + falls_back
    assert is_open(gateway, model) == (case.breaker == "counts")
    if got.status != 200:
        assert (got.header("retry-after") is not None) == ("retry-after" in name)


def in_pool(name: str, case: Case, way: str) -> int:
    """Give how often the pool's own endpoint is asked: one that told us to wait is waited for only where nobody else is left."""
    return 1 if way == "then" and name.startswith("429-with-a-short") else case.attempts
