"""The head of a request that is passed through: what the client may say, what the configuration says, what is ours."""

from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from gateway.config.spec import ProviderSpec
from gateway.core.secret import Secret
from gateway.providers.anthropic import Anthropic
from gateway.providers.base import HttpProvider
from gateway.providers.header_policy import FROM_CLIENT_PASS_THROUGH, all_values, client_value
from gateway.providers.llamacpp import LlamaCpp
from gateway.providers.openai import OpenAI


def provider(kind: type[HttpProvider] = OpenAI, url: str = "http://p.test/v1", **headers: str) -> HttpProvider:
    return kind(ProviderSpec("p", kind.kind.name, url, Secret("k-1"), auth=kind.kind.default_auth, headers=headers))


def head_of(
    one: HttpProvider, headers: dict[str, str], target: str = "/v1/files/a?b=c", method: str = "GET"
) -> list[str]:
    head = one.pass_through_head(method, target, headers)
    assert head.endswith(b"\r\n") and not head.endswith(b"\r\n\r\n"), "what differs by request follows"
    return head.decode("utf-8", "surrogateescape").removesuffix("\r\n").split("\r\n")


@pytest.mark.parametrize(
    ("kind", "url", "line"),
    [
        (OpenAI, "http://p.test/v1", "DELETE /v1/files/a?b=c HTTP/1.1"),
        (OpenAI, "http://p.test/openai/v1", "DELETE /openai/v1/files/a?b=c HTTP/1.1"),
        (OpenAI, "http://p.test", "DELETE /files/a?b=c HTTP/1.1"),
        (Anthropic, "http://p.test", "DELETE /v1/files/a?b=c HTTP/1.1"),
        (Anthropic, "http://p.test/proxy/v1", "DELETE /proxy/v1/files/a?b=c HTTP/1.1"),
    ],
)
def test_the_path_stands_below_the_url_as_for_chat(kind: type[HttpProvider], url: str, line: str) -> None:
    assert head_of(provider(kind, url), {}, method="DELETE")[0] == line


def test_a_child_gets_the_whole_path() -> None:
    child = LlamaCpp(ProviderSpec("p", "llamacpp"), "unix:/tmp/s")
    assert head_of(child, {}, "/v1/rerank", "POST")[0] == "POST /v1/rerank HTTP/1.1"


def test_what_is_on_the_list_crosses_and_nothing_else() -> None:
    given = {name: f"of {name}" for name in FROM_CLIENT_PASS_THROUGH}
    others = {
        "authorization": "Bearer c-1",
        "x-api-key": "c-1",
        "cookie": "a",
        "host": "x",
        "connection": "close",
        "x-a": "b",
    }
    lines = head_of(provider(), {**given, **others, "openai-beta": "b-1"})
    assert [line for line in lines if "of " in line] == [f"{name}: of {name}" for name in FROM_CLIENT_PASS_THROUGH]
    assert "openai-beta: b-1" in lines and "authorization: Bearer k-1" in lines
    assert not [line for line in lines if "c-1" in line or line.startswith(("cookie", "x-a:", "connection"))]


def test_what_the_client_does_not_say_is_not_said_for_it() -> None:
    names = {line.partition(":")[0] for line in head_of(provider(), {})[1:]}
    assert names == {"host", "accept-encoding", "user-agent", "via", "authorization"}


def test_what_the_configuration_says_holds_against_the_client() -> None:
    one = provider(**{"Accept": "text/plain", "openai-beta": "ours"})
    lines = head_of(one, {"accept": "audio/mpeg", "openai-beta": "theirs"})
    assert [line for line in lines if "accept:" in line or "beta" in line] == [
        "accept: text/plain",
        "openai-beta: ours",
    ]


def test_every_kind_has_headers_of_its_own_api() -> None:
    lines = head_of(provider(Anthropic, "http://p.test"), {"anthropic-beta": "b-1"})
    assert {"x-api-key: k-1", "anthropic-version: 2023-06-01", "anthropic-beta: b-1"} <= set(lines)


def test_a_gateway_before_this_one_is_told_on() -> None:
    assert head_of(provider(), {"via": "1.1 cache, 1.1 LLM-gateway"}).count("via: 1.1 llm-gateway") == 2
    assert head_of(provider(), {"via": "1.1 cache"}).count("via: 1.1 llm-gateway") == 1


def test_bytes_that_are_no_text_cross_as_they_are() -> None:
    head = provider().pass_through_head("GET", "/v1/a", {"accept": b"\xe9\xff".decode("utf-8", "surrogateescape")})
    assert b"accept: \xe9\xff\r\n" in head


def test_all_values_of_a_header_are_found() -> None:
    assert all_values({"via": "a"}, "via") == ["a"] and all_values({}, "via") == []


BETAS = CIMultiDict([("anthropic-beta", "a-1"), ("Anthropic-Beta", "b-2, c-3"), ("accept", "x"), ("accept", "y")])


@pytest.mark.parametrize(
    ("headers", "name", "value"),
    [
        (BETAS, "anthropic-beta", "a-1, b-2, c-3"),
        (BETAS, "accept", "x, y"),
        (CIMultiDict([("openai-beta", "a"), ("openai-beta", "b")]), "openai-beta", "a, b"),
        (CIMultiDict([("tracestate", "a=1"), ("tracestate", "b=2")]), "tracestate", "a=1, b=2"),
        (CIMultiDict([("idempotency-key", "a"), ("idempotency-key", "b")]), "idempotency-key", "a"),
        ({"anthropic-beta": "a-1"}, "anthropic-beta", "a-1"),
        ({}, "anthropic-beta", ""),
    ],
)
def test_repeated_lines_of_a_list_are_joined(headers: Mapping[str, str], name: str, value: str) -> None:
    assert client_value(headers, name) == value


def test_a_request_that_is_passed_through_has_all_betas_in_one_line() -> None:
    head = provider(Anthropic, "http://p.test").pass_through_head("POST", "/v1/files", BETAS)
    assert head.lower().count(b"anthropic-beta:") == 1
    assert b"anthropic-beta: a-1, b-2, c-3\r\n" in head
