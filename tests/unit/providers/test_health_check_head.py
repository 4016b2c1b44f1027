"""How a provider is asked whether it is well."""

import pytest

from gateway.config.spec import ProviderSpec, ProxySpec
from gateway.core.secret import Secret
from gateway.providers.anthropic import VERSION, Anthropic
from gateway.providers.openai import OpenAI
from gateway.providers.simulator import Simulator


def spec(url: str, **more: object) -> ProviderSpec:
    return ProviderSpec("p", "openai", url, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "path", "target"),
    [
        ("https://api.example.com/v1", "", "/v1/models"),
        ("http://gpu:8000", "", "/models"),
        ("http://gpu:8000/v1", "/health", "/health"),
        ("http://gpu:8000/a/b", "/a/ready?deep=1", "/a/ready?deep=1"),
    ],
)
def test_a_path_is_the_kinds_below_the_url_or_the_configured_below_the_host(url: str, path: str, target: str) -> None:
    head = OpenAI(spec(url)).health_check_head(path)
    assert head is not None
    assert head.startswith(f"GET {target} HTTP/1.1\r\n".encode())


def test_the_head_is_that_of_a_request_without_a_body() -> None:
    provider = OpenAI(spec("https://api.example.com/v1", key=Secret("k-1"), headers={"X-Team": "blue"}))
    head = provider.health_check_head("")
    assert head is not None
    lines = head.decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    names = {line.partition(":")[0] for line in lines[1:-2]}
    assert {"host", "authorization", "x-team", "via", "user-agent"} <= names
    assert not {"content-type", "content-length", "transfer-encoding"} & names


def test_a_proxy_that_reads_the_head_is_given_the_whole_address() -> None:
    head = OpenAI(spec("http://gpu:8000/v1", proxy=ProxySpec("proxy", 3128))).health_check_head("/health")
    assert head is not None
    assert head.startswith(b"GET http://gpu:8000/health HTTP/1.1\r\n")


def test_a_kind_that_knows_nothing_free_is_asked_by_a_configured_path_only() -> None:
    provider = Simulator(spec("http://gpu:8000/v1"))
    assert provider.health_check_head("") is None
    assert (provider.health_check_head("/health") or b"").startswith(b"GET /health HTTP/1.1\r\n")


@pytest.mark.parametrize("headers", [{}, {"Anthropic-Version": VERSION}])
def test_a_kind_that_wants_a_version_is_told_it_once(headers: dict[str, str]) -> None:
    head = Anthropic(spec("https://api.example.com/v1", headers=headers)).health_check_head("")
    assert head is not None
    assert head.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert head.count(f"anthropic-version: {VERSION}\r\n".encode()) == 1
    assert head.endswith(b"\r\n\r\n") and head.count(b"\r\n\r\n") == 1
