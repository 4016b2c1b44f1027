"""The request to try that a start on a terminal prints."""

import json
import shlex
from dataclasses import replace

import pytest

from gateway.config.spec import Listen
from gateway.runtime.first_request import curl_line
from tests.support.replay import load_config

TEXT = """
version: 1
providers: {a: {kind: openai, url: "http://a.test/v1"}}
models: {m: {provider: a, price: {input: 1, output: 2}}, n: {provider: a, price: {input: 1, output: 2}}}
routes:
  - {name: some, match: ["m*", n], when: "request.tools > 0", to: m}
  - {name: all, match: [%s], to: m}
"""
SPEC = load_config(TEXT % "m, auto").spec


def words(listen: Listen, port: int = 8000) -> list[str]:
    return shlex.split(curl_line(SPEC, listen, port))


def test_it_is_a_command_with_json_that_a_shell_takes() -> None:
    command = words(Listen("127.0.0.1", 0), 8123)
    assert command[:3] == ["curl", "-s", "http://127.0.0.1:8123/v1/chat/completions"]
    body = json.loads(command[-1])
    assert (body["model"], body["max_tokens"]) == ("auto", 60)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (Listen("0.0.0.0", 8000), "http://127.0.0.1:8000"),
        (Listen("::", 8000), "http://[::1]:8000"),
        (Listen("::1", 8000), "http://[::1]:8000"),
        (Listen("gateway.local", 8000), "http://gateway.local:8000"),
    ],
)
def test_any_host_is_one_that_curl_reaches(listen: Listen, url: str) -> None:
    assert words(listen)[2] == f"{url}/v1/chat/completions"


def test_a_unix_socket_is_named() -> None:
    assert words(Listen(path="/run/g.sock"))[:5] == [
        "curl", "-s", "--unix-socket", "/run/g.sock", "http://localhost/v1/chat/completions"
    ]  # fmt: skip


def test_a_name_without_a_condition_is_asked_for() -> None:
    assert json.loads(shlex.split(curl_line(load_config(TEXT % "m").spec, Listen("h", 1), 1))[-1])["model"] == "m"


def test_with_tenants_a_key_is_asked_for() -> None:
    from gateway.config.spec import TenantSpec

    assert "authorization: Bearer YOUR_KEY" in curl_line(
        replace(SPEC, tenants={"t": TenantSpec("t", ())}), Listen("h", 1), 1
    )


def test_where_no_name_can_be_asked_for_there_is_nothing_to_try() -> None:
    assert curl_line(load_config(TEXT % '"*"').spec, Listen("h", 1), 1) == ""
