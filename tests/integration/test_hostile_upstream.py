"""Providers that send what they should not, through the whole gateway: bounded, told, and never in another's answer."""

import gzip
import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.fuzz_upstream import BODY, SERVER, aftermath, hostile, play
from tests.conftest import StartGateway
from tests.support.certificates import FOLDER
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.hostile_provider import HostileProvider, HostileReply
from tests.support.http import CHAT, Connection, ask, chat_body
from tests.support.sse import is_complete, text_of
from tests.support.waiting import wait_for

CONTENT = {"role": "assistant", "content": "hello"}
DOCUMENT = json.dumps({"choices": [{"index": 0, "message": CONTENT, "finish_reason": "stop"}]}).encode()
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
PROTOCOL, GONE = (502, "upstream_protocol_error"), (502, "upstream_unavailable")


def answer(body: bytes = DOCUMENT, lines: bytes = b"", status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
    return head % (status, len(body), lines) + body


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


HTML = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>"
GZIP = gzip.compress(DOCUMENT)
UNSTREAMED = {
    "html": (HostileReply((HTML,)), PROTOCOL),
    "gzip": (HostileReply((answer(GZIP, b"content-encoding: GZIP\r\n"),)), PROTOCOL),
    "gzip-unsaid": (HostileReply((answer(GZIP),)), PROTOCOL),
    "garbage": (HostileReply((answer(b"\x00\xff nonsense"),)), PROTOCOL),
    "no-http": (HostileReply((b"SSH-2.0-OpenSSH\r\n",), "close"), PROTOCOL),
    "short": (HostileReply((answer()[:-5],), "close"), GONE),
    "nothing": (HostileReply((b"",), "close"), GONE),
    "reset": (HostileReply((answer()[:-5],), "reset"), GONE),
    "two-lengths": (HostileReply((answer(lines=b"content-length: 3\r\n"),)), PROTOCOL),
    "length-and-chunks": (HostileReply((answer(lines=b"transfer-encoding: chunked\r\n"),)), PROTOCOL),
    "nul": (HostileReply((answer(lines=b"x: a\x00b\r\n"),)), PROTOCOL),
    "bare-lf": (HostileReply((answer().replace(b"\r\n", b"\n"),)), PROTOCOL),
    "two-types": (HostileReply((answer(lines=b"content-type: text/plain\r\n"),)), PROTOCOL),
    "000": (HostileReply((answer(status=b"000 None"),)), PROTOCOL),
    "204": (HostileReply((b"HTTP/1.1 204 No Content\r\n\r\n" + answer(),)), PROTOCOL),
    "206": (HostileReply((answer(status=b"206 Partial Content"),)), PROTOCOL),
    "304": (HostileReply((answer(status=b"304 Not Modified"),)), PROTOCOL),
    "999": (HostileReply((answer(status=b"999 What"),)), PROTOCOL),
    "upgrade": (HostileReply((b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",)), PROTOCOL),
    "endless-head": (HostileReply((b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 999), again=True), PROTOCOL),
    "endless-interim": (HostileReply((b"HTTP/1.1 100 Continue\r\n\r\n" * 99,), again=True), PROTOCOL),
    "endless-body": (HostileReply((b"HTTP/1.1 200 OK\r\n\r\n{", b" " * 2**20), again=True), PROTOCOL),
    "no-answer": (HostileReply((b"",), "stall"), (504, "answer_timeout")),
    "half-a-body": (HostileReply((answer()[:-5],), "stall"), (504, "idle_timeout")),
}
STREAMED = {
    "html": (HostileReply((HTML,)), PROTOCOL),
    "long-line": (HostileReply((STREAM_HEAD, b"data: ", b"x" * 2**20), again=True), PROTOCOL),
    "long-event": (HostileReply((STREAM_HEAD + EVENT.replace(b"hello", b"x" * 70_000) + FINISH,), "close"), PROTOCOL),
    "long-prelude": (HostileReply((STREAM_HEAD, b": nothing\n\n" * 9999), again=True), PROTOCOL),
    "extensions": (
        HostileReply(
            (
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n1;",
                b"x" * 9999,
            ),
            again=True,
        ),
        PROTOCOL,
    ),
    "no-chunk": (HostileReply((STREAM_HEAD + b"data: <html>\n\n",), "close"), PROTOCOL),
    "nothing": (HostileReply((STREAM_HEAD,), "close"), PROTOCOL),
    "silence": (HostileReply((STREAM_HEAD,), "stall"), (504, "first_token_timeout")),
}
OTHER = {
    "surplus": HostileReply((answer() + answer(DOCUMENT.replace(b"hello", b"poison")),)),
    "trailers": HostileReply(
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunks(DOCUMENT)[:-2]
            + b"content-type: text/evil\r\nopenai-version: evil\r\n\r\n",
        )
    ),
    "headers": HostileReply(
        (
            answer(
                lines=b"set-cookie: a=b\r\nx-gateway-model: evil\r\nopenai-model: caf\xc3\xa9\r\nopenai-version: 1\r\nserver: evil\r\n"
            ),
        )
    ),
    "text": HostileReply((answer().replace(b"application/json", b"text/html"),)),
    "good": HostileReply((answer(),)),
    "redirect": HostileReply((answer(status=b"307 Temporary Redirect", lines=b"location: /elsewhere\r\n"),)),
    "endless": HostileReply((STREAM_HEAD, EVENT * 50), pause_s=0.05, again=True),
    "late": HostileReply((STREAM_HEAD + EVENT, EVENT.replace(b"hello", b"x" * 70_000)), "close", pause_s=0.1),
    "torn": HostileReply((STREAM_HEAD + EVENT, b"\x00\xff garbage"), "reset", pause_s=0.1),
}
DEEDS = {
    **{f"fuzz-json-{name}": deed for name, (deed, _) in UNSTREAMED.items()},
    **{f"fuzz-stream-{name}": deed for name, (deed, _) in STREAMED.items()},
    **{f"fuzz-{name}": deed for name, deed in OTHER.items()},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[HostileProvider]:
    with HostileProvider(DEEDS.__getitem__) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(provider: HostileProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("hostile"), BODY.format(url=provider.url), server=SERVER) as process:
        workers = process.worker_pids
        yield process
        assert list(aftermath(process, workers)) == []


def lines_of(gateway: GatewayProcess, request_id: str | None) -> list[dict[str, object]]:
    return [line for line in gateway.log_lines() if line.get("request_id") == request_id and "outcome" in line]


def attempts(gateway: GatewayProcess, outcome: str) -> float:
    text = gateway.admin("/metrics").body.decode()
    line = next(one for one in text.splitlines() if one.startswith("gateway_attempts_total") and f'"{outcome}"' in one)
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("name", UNSTREAMED)
def test_an_unstreamed_answer_that_is_none_is_an_error_that_says_so(gateway: GatewayProcess, name: str) -> None:
    status, code = UNSTREAMED[name][1]
    assert ask(gateway.address, "fuzz-good").status == 200  # leaves a kept connection
    before = attempts(gateway, "failed")
    got = ask(gateway.address, f"fuzz-json-{name}")
    assert (got.status, got.error()["code"]) == (status, code)
    resent = name in ("no-http", "nothing")  # a kept connection that brings no response: one attempt more
    assert attempts(gateway, "failed") == before + 1 + resent
    assert ask(gateway.address, "fuzz-good").status == 200


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_that_is_none_is_an_error_with_a_status(gateway: GatewayProcess, name: str) -> None:
    status, code = STREAMED[name][1]
    got = ask(gateway.address, f"fuzz-stream-{name}", stream=True)
    assert (got.status, got.error()["code"]) == (status, code)
    own = got.header("x-request-id")
    (line,) = wait_for(lambda: lines_of(gateway, own), "the request in the log") or ()
    assert (line["status"], line["error"]) == (status, code)


def test_an_endless_line_costs_no_memory(gateway: GatewayProcess) -> None:
    ask(gateway.address, "fuzz-stream-long-line", stream=True)
    before = gateway.rss()
    for _ in range(5):
        assert ask(gateway.address, "fuzz-stream-long-line", stream=True).status == 502
    assert gateway.rss() - before < 16 * 2**20


def test_surplus_reaches_nobody(gateway: GatewayProcess) -> None:
    with Connection(gateway.address) as connection:
        for model in ["fuzz-surplus", "fuzz-good"] * 20:
            connection.request("POST", CHAT, chat_body(model))
            got = connection.read_answer()
            assert got.status == 200 and got.json()["choices"][0]["message"]["content"] == "hello"


def test_only_known_headers_cross_and_only_in_plain_words(gateway: GatewayProcess) -> None:
    got = ask(gateway.address, "fuzz-headers")
    assert (got.header("openai-version"), got.header("openai-model"), got.header("set-cookie")) == ("1", None, None)
    assert got.header("server") == "llm-gateway" and "evil" not in str(got.head)


def test_trailers_are_dropped(gateway: GatewayProcess) -> None:
    got = ask(gateway.address, "fuzz-trailers")
    assert got.status == 200 and got.header("content-type") == "application/json" and "evil" not in str(got.head)


def test_json_under_another_name_is_given_as_json(gateway: GatewayProcess) -> None:
    assert ask(gateway.address, "fuzz-text").header("content-type") == "application/json"


def test_a_redirect_is_not_followed(gateway: GatewayProcess, provider: HostileProvider) -> None:
    got = ask(gateway.address, "fuzz-redirect")
    assert (got.status, got.error()["code"], got.header("location")) == (*PROTOCOL, None)
    assert provider.requests["fuzz-redirect"] == 1


@pytest.mark.parametrize("name", ["endless", "late", "torn"])
def test_a_stream_that_goes_wrong_late_ends_with_an_error_and_no_done(gateway: GatewayProcess, name: str) -> None:
    got = ask(gateway.address, f"fuzz-{name}", stream=True)
    assert got.status == 200 and text_of(got.body).startswith("hello")
    assert not is_complete(got.body) and b'"error"' in got.body and b"[DONE]" not in got.body


def test_seeded_garbage_is_survived(tmp_path: Path) -> None:
    seed = 20
    with hostile(seed) as provider, running_gateway(tmp_path, BODY.format(url=provider.url), server=SERVER) as gateway:
        workers = gateway.worker_pids
        findings = play(gateway, seed, iter(range(400)))
        assert [*findings.faults, *aftermath(gateway, workers)] == []
        assert findings.statuses[200] > 50 and findings.statuses[502] > 50, "the fuzzer has lost its edge"


# The way there


def way(settings: str) -> str:
    return f"""
providers: {{far: {{kind: openai, {settings}}}}}
models: {{fuzz-*: {{provider: far, price: {{input: 1, output: 2}}, quality: 0.5}}}}
routes: [{{name: all, match: ["*"], to: requested}}]
"""


def test_the_proxy_of_the_environment_carries_requests(start_gateway: StartGateway, provider: HostileProvider) -> None:
    env = {"http_proxy": f"http://user:hush-hush@127.0.0.1:{provider.port}", "no_proxy": "other.test"}
    gateway = start_gateway(way("url: 'http://far.test/v1'"), env=env)
    assert ask(gateway.address, "fuzz-good").status == 200
    head = provider.heads[-1].decode()
    assert head.startswith("POST http://far.test/v1/chat/completions HTTP/1.1\r\nhost: far.test\r\n")
    assert f"proxy-authorization: Basic {b64encode(b'user:hush-hush').decode()}\r\n" in head
    shown = gateway.log() + gateway.admin("/metrics").body.decode() + gateway.admin("/admin/config").body.decode()
    assert "hush" not in shown and "dXNlcjpodXNo" not in shown


def test_an_authority_of_ones_own_is_trusted_and_no_other(start_gateway: StartGateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "first.pem", FOLDER / "first.key")
    with HostileProvider(DEEDS.__getitem__, context) as provider:
        url = f"url: 'https://localhost:{provider.port}/v1'"
        gateway = start_gateway(way(f"{url}, tls: {{ca: '{FOLDER / 'ca.pem'}'}}"))
        assert ask(gateway.address, "fuzz-good").status == 200
        stranger = start_gateway(way(url))
        assert ask(stranger.address, "fuzz-good").error()["code"] == "upstream_tls"
        system = start_gateway(way(url), env={"SSL_CERT_FILE": str(FOLDER / "ca.pem")})
        assert ask(system.address, "fuzz-good").status == 200
