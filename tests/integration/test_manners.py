"""What crosses the gateway and what does not, and how it refuses."""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from tests.support.gateway import PROVIDER_KEY, GatewayProcess, running_gateway, simulator_config
from tests.support.http import CHAT, Answer, Connection, ask, chat_body, fetch, request_bytes
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

CLIENT_KEY = "client-key-that-stays-here"

MORE = """
models:
  renamed: {provider: sim, id: sim-tokens3-prompt_tokens1100, price: {input: 3, output: 6, cached_input: 1}, quality: 0.7, latency: 300ms, context: 8k}
"""

TENANTS = f"""
tenants:
  acme: {{keys: ["sha256:{sha256(CLIENT_KEY.encode()).hexdigest()}"]}}
"""


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    body = simulator_config(simulator.url).replace("models:\n", MORE.lstrip("\n"))
    server = "limits: {body: 64KiB, body_timeout: 1s}"
    with running_gateway(tmp_path_factory.mktemp("gateway"), body, server=server) as process:
        yield process


@pytest.fixture(scope="module")
def guarded(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("guarded"), simulator_config(simulator.url, TENANTS)) as process:
        yield process


def post(gateway: GatewayProcess, body: bytes | dict[str, Any], **headers: str) -> Answer:
    return fetch(gateway.address, CHAT, body, {name.replace("_", "-"): value for name, value in headers.items()})


# What the provider hears


@pytest.mark.parametrize("is_stream", [True, False])
def test_unknown_fields_and_every_byte_of_the_body_reach_the_provider(
    gateway: GatewayProcess, simulator: SimulatorProcess, is_stream: bool
) -> None:
    model = f"sim-prompt_tokens111{int(is_stream)}"
    options = '"stream_options": {"include_usage": true, "x": [1]},' if is_stream else ""
    body = (
        '{ "zz_unknown": {"deep": [1, 2.50, 1e5, 123456789012345678901234567890, null, true]},\n\t'
        f'"model": "{model}", {options} "stream": {str(is_stream).lower()},'
        '"messages": [{"role": "user", "content": "caf\\u00e9 \\/ 日本語 🙂", "name": "x", "own": 1.10}], "temperature": 0.70, "seed": 12345678901 }'
    ).encode()
    assert post(gateway, body).status == 200
    assert simulator.recorded(model)[1] == body


def test_a_model_with_another_name_is_spliced_in_and_nothing_else_changes(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    body = b'{"messages":[{"role":"user","content":"the \\"model\\" of \\u00e9"}], "x": 1.10,  "model" : "renamed" ,"y":[ ]}'
    answer = post(gateway, body)
    assert answer.status == 200
    heard = simulator.recorded("sim-tokens3-prompt_tokens1100")[1]
    assert json.loads(heard) == {**json.loads(body), "model": "sim-tokens3-prompt_tokens1100"}
    assert b"1.10" in heard and b"\\u00e9" in heard


def test_a_stream_is_asked_for_its_usage_and_keeps_its_other_options(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = "sim-prompt_tokens1120"
    post(gateway, chat_body(model, stream=True, stream_options={"include_obfuscation": False}))
    heard = json.loads(simulator.recorded(model)[1])
    assert heard["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_only_listed_headers_reach_the_provider_and_never_the_clients_key(
    guarded: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = "sim-prompt_tokens1130"
    answer = post(
        guarded,
        chat_body(model),
        authorization=f"Bearer {CLIENT_KEY}",
        x_api_key=CLIENT_KEY,
        cookie="session=1",
        x_forwarded_for="10.0.0.1",
        x_custom="custom",
        user_agent="client/1",
        connection="keep-alive, x-custom, authorization",
        keep_alive="timeout=5",
        te="trailers",
        proxy_authorization="Basic eA==",
        openai_organization="org-of-the-client",
        idempotency_key="idem-1",
        accept_encoding="gzip",
    )
    assert answer.status == 200
    headers, _ = simulator.recorded(model)
    names = [name.lower() for name, _ in headers]
    assert len(names) == len(set(names))
    assert set(names) <= {
        "host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "via", "authorization",
        "x-request-id", "idempotency-key",
    }  # fmt: skip
    values = {name.lower(): value for name, value in headers}
    assert values["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert values["host"] == f"127.0.0.1:{simulator.port}"
    assert values["user-agent"].startswith("llm-gateway/") and "via" in values
    assert values["accept-encoding"] == "identity" and values["idempotency-key"] == "idem-1"
    assert not any(CLIENT_KEY in value for value in values.values())


def test_no_key_is_in_log_or_metrics_or_admin_page(guarded: GatewayProcess, simulator: SimulatorProcess) -> None:
    post(guarded, chat_body("sim-error401"), authorization=f"Bearer {CLIENT_KEY}")
    post(guarded, chat_body("sim-tokens1"), authorization="Bearer some-wrong-key-0815", x_request_id="last-of-keys")
    wait_for(lambda: "last-of-keys" in guarded.log(), "the log")
    seen = guarded.log() + str(guarded.admin("/metrics").body) + str(guarded.admin("/admin/config").body)
    for secret in (CLIENT_KEY, PROVIDER_KEY, "some-wrong-key-0815", "Say something nice"):
        assert secret not in seen


# What the client hears


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_providers_own_headers_stay_behind_and_the_gateways_stand_there(
    gateway: GatewayProcess, is_stream: bool
) -> None:
    head = ask(gateway.address, "sim-tokens2", stream=is_stream).head
    names = head.names
    assert not names & {"set-cookie", "openai-organization"}
    assert head.get("server") != "simulator"
    assert head.get("x-request-id") != "req-of-the-provider"
    assert (head.get("x-gateway-route"), head.get("x-gateway-model")) == ("direct", "sim-tokens2")
    assert (head.get("x-gateway-attempts"), head.get("x-gateway-config")) == ("1", "1")
    assert float(head.get("x-gateway-overhead-ms") or "nan") >= 0
    assert head.get("x-gateway-pool") and (head.get("x-gateway-cache") or "").startswith("bypass; reason=")
    assert ("x-gateway-cost" in names) is not is_stream


def test_the_cost_is_exact(gateway: GatewayProcess) -> None:
    cost = ask(gateway.address, "renamed").header("x-gateway-cost")
    assert float(cost or "nan") == pytest.approx((1100 * 3 + 3 * 6) / 1e6)


@pytest.mark.parametrize("given", ["my-id_1", "a" * 128, "trace/1+2=3:x.y"])
def test_a_decent_request_id_is_kept_and_handed_on(
    gateway: GatewayProcess, simulator: SimulatorProcess, given: str
) -> None:
    model = "sim-prompt_tokens1140"
    assert post(gateway, chat_body(model), x_request_id=given).header("x-request-id") == given
    assert ("x-request-id", given) in [(name.lower(), value) for name, value in simulator.recorded(model)[0]]


@pytest.mark.parametrize("given", ["a b", "a" * 129, "é", '"><script>', "${x}"])
def test_any_other_request_id_is_replaced(gateway: GatewayProcess, given: str) -> None:
    request = request_bytes("POST", CHAT, chat_body("sim-tokens1")).replace(
        b"host: ", b"x-request-id: " + given.encode() + b"\r\nhost: ", 1
    )
    with Connection(gateway.address) as connection:
        connection.send(request)
        found = connection.read_answer().header("x-request-id")
    assert found is not None and re.fullmatch(r"req-[0-9a-f]+-\d+", found)


def test_a_providers_rejection_passes_on_as_it_came(gateway: GatewayProcess) -> None:
    answer = ask(gateway.address, "sim-error422")
    assert answer.status == 422
    assert answer.error() == {
        "message": "simulated error 422", "type": "invalid_request_error", "param": None, "code": "simulated",
    }  # fmt: skip


# How it refuses


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "user"}]}, "model"),
        ({"model": 3, "messages": [{"role": "user"}]}, "model"),
        ({"model": "sim"}, "messages"),
        ({"model": "sim", "messages": "hi"}, "messages"),
        ({"model": "sim", "messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"model": "sim", "messages": [{"role": 1, "content": "hi"}]}, "messages[0].role"),
        ({"model": "sim", "messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"model": "sim", "messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"model": "sim", "messages": [{"role": "user"}], "stream": "yes"}, "stream"),
        ({"model": "sim", "messages": [{"role": "user"}], "max_tokens": 0}, "max_tokens"),
        ({"model": "sim", "messages": [{"role": "user"}], "max_tokens": 1.5}, "max_tokens"),
        ({"model": "sim", "messages": [{"role": "user"}], "n": -1}, "n"),
        ({"model": "sim", "messages": [{"role": "user"}], "temperature": "hot"}, "temperature"),
    ],
)
def test_a_wrong_field_is_400_and_named(gateway: GatewayProcess, body: dict[str, Any], param: str) -> None:
    answer = post(gateway, body)
    assert (answer.status, answer.error()["type"]) == (400, "invalid_request_error")
    assert re.sub(r"\[\.\.\.\]|\[\d+\]", "[]", answer.error()["param"]) == re.sub(r"\[\d+\]", "[]", param)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"model":"sim","messages":[{"role":"user"}],"x":NaN}',
        b'{"model":"sim\xff","messages":[{"role":"user"}]}',
        b'{"model":"\\ud800","messages":[{"role":"user"}]}',
        b'{"model":"sim","messages":[{"role":"user"}],"max_tokens":' + b"9" * 6000 + b"}",
        b'{"model":"sim","messages":[{"role":"user"}],"temperature":1e999}',
    ],
)
def test_what_is_not_a_chat_request_is_400_in_openais_shape(gateway: GatewayProcess, body: bytes) -> None:
    answer = post(gateway, body)
    assert answer.status == 400 and answer.error()["message"]


def test_an_unknown_model_is_404_with_a_suggestion(gateway: GatewayProcess) -> None:
    answer = ask(gateway.address, "renamd")
    error = answer.error()
    assert (answer.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "did you mean 'renamed'" in error["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_another_content_type_is_415(gateway: GatewayProcess, content_type: str) -> None:
    answer = post(gateway, chat_body("sim-tokens1"), content_type=content_type)
    assert answer.status == 415 and answer.error()["code"] == "unsupported_media_type"
    assert post(gateway, chat_body("sim-tokens1"), content_type="Application/JSON; charset=utf-8").status == 200


def test_a_body_over_the_limit_is_413_announced_or_not(gateway: GatewayProcess) -> None:
    big = json.dumps(chat_body("sim-tokens1", padding="x" * 70_000)).encode()
    assert post(gateway, big).status == 413
    pieces = [big[start : start + 1000] for start in range(0, len(big), 1000)]
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    with Connection(gateway.address) as connection:
        connection.send(head + chunked)
        answer = connection.read_answer()
        assert answer.status == 413 and answer.error()["code"] == "request_too_large"
    announced = head.replace(b"transfer-encoding: chunked", b"content-length: 99999999\r\nexpect: 100-continue")
    with Connection(gateway.address) as connection:
        connection.send(announced)
        assert connection.read_head().status == 413, "refused before the body is invited"


def test_a_chunked_body_and_an_expectation_are_served(gateway: GatewayProcess) -> None:
    body = json.dumps(chat_body("sim-tokens1")).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with Connection(gateway.address) as connection:
        connection.send(head + b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")
        assert connection.read_head().status == 100
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert connection.read_answer().status == 200


def test_a_body_that_never_comes_is_408(gateway: GatewayProcess) -> None:
    with Connection(gateway.address) as connection:
        connection.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"
        )
        answer = connection.read_answer()
        assert answer.status == 408 and answer.error()["code"] == "request_timeout"
        assert connection.is_closed()


def test_a_key_is_checked_before_the_body_is_invited(guarded: GatewayProcess, simulator: SimulatorProcess) -> None:
    with Connection(guarded.address) as connection:
        connection.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 50\r\nexpect: 100-continue\r\n\r\n"
        )
        answer = connection.read_answer()
    assert answer.status == 401 and (answer.header("www-authenticate") or "").startswith("Bearer")
    assert answer.error()["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {CLIENT_KEY}"}, 200),
        ({"x_api_key": CLIENT_KEY}, 200),
        ({"authorization": f"Bearer {CLIENT_KEY}", "x_api_key": CLIENT_KEY}, 200),
        ({"authorization": f"Bearer {CLIENT_KEY}", "x_api_key": "other"}, 401),
        ({"authorization": "Basic eDp5"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": f"Bearer {CLIENT_KEY}x"}, 401),
        ({"authorization": f"Bearer {sha256(CLIENT_KEY.encode()).hexdigest()}"}, 401),
        ({}, 401),
    ],
)
def test_exactly_one_valid_key_opens_the_door(guarded: GatewayProcess, headers: dict[str, str], status: int) -> None:
    assert post(guarded, chat_body("sim-tokens1"), **headers).status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/files", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("TRACE", "/v1/models", 405),
        ("GET", "/admin/config", 404),
        ("GET", "/metrics", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "//v1/chat/completions", 404),
    ],
)
def test_what_is_not_there_is_refused_in_openais_shape(
    gateway: GatewayProcess, method: str, path: str, status: int
) -> None:
    with Connection(gateway.address) as connection:
        connection.request(method, path, b"{}" if method == "POST" else None)
        answer = connection.read_answer()
    assert answer.status == status and answer.error()["message"]
    assert (answer.header("allow") is not None) is (status == 405)


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n{}",
        b"GET /v1/models HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
    ],
)
def test_ambiguous_framing_gets_one_answer_and_a_closed_connection(
    gateway: GatewayProcess, simulator: SimulatorProcess, request_head: bytes
) -> None:
    before = simulator.stats()["requests"]
    with Connection(gateway.address) as connection:
        connection.send(request_head)
        answer = connection.read_answer()
        assert 400 <= answer.status < 500 and answer.error()["message"]
        assert connection.is_closed()
    assert simulator.stats()["requests"] == before


def test_models_show_quality_and_price(gateway: GatewayProcess) -> None:
    listed = {model["id"]: model for model in fetch(gateway.address, "/v1/models").json()["data"]}
    one = fetch(gateway.address, "/v1/models/renamed").json()
    assert one == listed["renamed"]
    assert (one["quality"], one["price"]["output"], one["context"]) == (0.7, 6.0, 8000)
    assert fetch(gateway.address, "/v1/models/nonesuch").error()["code"] == "model_not_found"


def test_health_and_readiness_need_no_key(guarded: GatewayProcess) -> None:
    assert fetch(guarded.address, "/ready").json() == {"ready": True, "warming": [], "config": 1}
    assert fetch(guarded.address, "/health").status == 200
    assert fetch(guarded.address, "/v1/models").status == 401
    assert fetch(guarded.address, "/nowhere").status == 401
