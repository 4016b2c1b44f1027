from typing import Any

import pytest

from gateway.config.spec import ClientTlsSpec, ModelSpec, PriceSpec, ProviderSpec, ProxySpec
from gateway.core.errors import (
    CredentialRefused,
    GatewayError,
    ProtocolError,
    Rejected,
    Transient,
    Unavailable,
    UpstreamRateLimited,
)
from gateway.core.secret import Secret
from gateway.providers import provider_kinds
from gateway.providers.base import HttpProvider
from gateway.providers.header_policy import VIA
from gateway.providers.llamacpp import LlamaCpp
from gateway.providers.openai import OpenAI
from gateway.providers.tls_contexts import TlsContexts
from gateway.providers.transport import Origin, Proxy
from tests.support.certificates import FOLDER

PATH = "/v1/chat/completions"


def spec(url: str = "https://api.example.com/v1", **more: Any) -> ProviderSpec:
    return ProviderSpec(**{"name": "p", "kind": "openai", "url": url, **more})


def lines_of(provider: HttpProvider) -> list[str]:
    head = provider.request_head(PATH).decode()
    assert head.endswith("\r\n") and not head.endswith("\r\n\r\n"), "what differs by request follows"
    return head.removesuffix("\r\n").split("\r\n")


def headers_of(provider: HttpProvider) -> dict[str, str]:
    pairs = [line.partition(": ") for line in lines_of(provider)[1:]]
    assert len({name for name, _, _ in pairs}) == len(pairs), "each header once"
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize(
    ("url", "origin", "host", "path"),
    [
        ("https://api.openai.com/v1", Origin("api.openai.com", 443, is_tls=True), "api.openai.com", "/v1"),
        ("http://127.0.0.1:8080/v1", Origin("127.0.0.1", 8080), "127.0.0.1:8080", "/v1"),
        ("http://[::1]:8080", Origin("::1", 8080), "[::1]:8080", ""),
        ("http://gpu", Origin("gpu", 80), "gpu", ""),
        ("https://x.example/a/b/", Origin("x.example", 443, is_tls=True), "x.example", "/a/b"),
        ("https://user:secret@x.example/v1", Origin("x.example", 443, is_tls=True), "x.example", "/v1"),
    ],
)
def test_a_url_gives_origin_host_and_path(url: str, origin: Origin, host: str, path: str) -> None:
    provider = OpenAI(spec(url))
    assert provider.origin == origin
    assert lines_of(provider)[0] == f"POST {path}/chat/completions HTTP/1.1"
    assert headers_of(provider)["host"] == host
    assert b"secret" not in provider.request_head(PATH)


def test_the_embedded_model_is_reached_on_its_socket() -> None:
    provider = LlamaCpp(spec("", kind="llamacpp"), "unix:/run/model.sock")
    assert provider.origin == Origin(unix="/run/model.sock")
    assert lines_of(provider)[0] == f"POST {PATH} HTTP/1.1"
    assert headers_of(provider)["host"] == "localhost"


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [("bearer", "authorization", "Bearer k"), ("x-api-key", "x-api-key", "k"), ("api-key", "api-key", "k")],
)
def test_the_key_goes_where_the_provider_wants_it(auth: str, name: str, value: str) -> None:
    headers = headers_of(OpenAI(spec(key=Secret("k"), auth=auth)))
    assert headers[name] == value
    assert {"authorization", "x-api-key", "api-key"} & set(headers) == {name}


def test_without_a_key_no_credential_is_sent() -> None:
    for key in (None, Secret("")):
        assert not {"authorization", "x-api-key", "api-key"} & set(headers_of(OpenAI(spec(key=key))))


def test_configured_headers_are_sent_and_win() -> None:
    headers = headers_of(OpenAI(spec(headers={"X-Team": "a", "User-Agent": "mine"})))
    assert (headers["x-team"], headers["user-agent"]) == ("a", "mine")


def test_answers_are_asked_for_uncompressed_and_the_way_is_marked() -> None:
    headers = headers_of(OpenAI(spec()))
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"
    assert headers["via"] == VIA
    assert not {"connection", "content-length", "transfer-encoding"} & set(headers)


def test_a_model_goes_by_its_id_and_a_family_by_the_name_that_was_asked_for() -> None:
    price = PriceSpec(1, 1)
    provider = OpenAI(spec())
    assert provider.model_id(ModelSpec("fast", "p", "gpt-4o-mini", price, 0.5), "auto") == "gpt-4o-mini"
    assert provider.model_id(ModelSpec("gpt-*", "p", "gpt-*", price, 0.5), "gpt-5") == "gpt-5"


@pytest.mark.parametrize(
    ("status", "error", "to_client", "is_retryable", "hurts_breaker"),
    [
        (301, ProtocolError, 502, True, True),
        (307, ProtocolError, 502, True, True),
        (400, Rejected, 400, False, False),
        (401, CredentialRefused, 502, True, False),
        (403, CredentialRefused, 502, True, False),
        (404, Rejected, 404, False, False),
        (408, Transient, 408, True, False),
        (413, Rejected, 413, False, False),
        (422, Rejected, 422, False, False),
        (429, UpstreamRateLimited, 429, True, False),
        (500, Unavailable, 500, True, True),
        (503, Unavailable, 503, True, True),
        (529, Unavailable, 529, True, True),
    ],
)
def test_each_status_means_one_fault(
    status: int, error: type[GatewayError], to_client: int, is_retryable: bool, hurts_breaker: bool
) -> None:
    fault = OpenAI(spec()).classify_error(status, {b"content-type": b"application/json"}, b'{"secret":1}')
    assert type(fault) is error and fault.upstream_status == status
    assert (fault.http_status, fault.is_retryable, fault.hurts_breaker) == (to_client, is_retryable, hurts_breaker)
    assert "secret" not in fault.message and "example.com" not in fault.message


def test_a_rejection_carries_the_providers_own_words() -> None:
    fault = OpenAI(spec()).classify_error(400, {b"content-type": b"text/plain; charset=utf-8"}, b"\xffno")
    assert isinstance(fault, Rejected)
    assert (fault.body, fault.content_type) == (b"\xffno", "text/plain; charset=utf-8")
    bare = OpenAI(spec()).classify_error(400, {}, b"")
    assert isinstance(bare, Rejected) and bare.content_type == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_wait_that_the_provider_asks_for_is_kept(status: int) -> None:
    assert OpenAI(spec()).classify_error(status, {b"retry-after": b"17"}, b"").retry_after_s == 17.0
    assert OpenAI(spec()).classify_error(status, {}, b"").retry_after_s is None


def test_every_kind_is_found_by_its_file() -> None:
    kinds = provider_kinds()
    assert {"openai", "llamacpp", "simulator"} <= set(kinds)
    assert all(kind.name == name and kind.summary for name, kind in kinds.items())
    assert kinds["llamacpp"].is_managed and not kinds["openai"].is_managed


# The way there


def test_a_proxy_for_plain_http_is_given_the_whole_url_and_its_credentials() -> None:
    provider = OpenAI(spec("http://x.example:8080/v1", proxy=ProxySpec("p.example", 3128, Secret("user:hush"))))
    assert provider.origin.proxy == Proxy("p.example", 3128, "Basic dXNlcjpodXNo")
    assert lines_of(provider)[0] == "POST http://x.example:8080/v1/chat/completions HTTP/1.1"
    assert headers_of(provider)["proxy-authorization"] == "Basic dXNlcjpodXNo"
    assert headers_of(provider)["host"] == "x.example:8080"


def test_a_proxy_for_tls_is_named_to_the_transport_only() -> None:
    provider = OpenAI(spec(proxy=ProxySpec("p.example", 3128, Secret("user:hush"))))
    assert provider.origin.proxy == Proxy("p.example", 3128, "Basic dXNlcjpodXNo")
    assert lines_of(provider)[0] == "POST /v1/chat/completions HTTP/1.1"
    assert "proxy-authorization" not in headers_of(provider)


def test_providers_of_equal_tls_share_one_context() -> None:
    contexts = TlsContexts()
    tls = ClientTlsSpec((FOLDER / "ca.pem").read_text())
    first, second, own = (OpenAI(spec(tls=one), "", contexts).origin for one in (None, None, tls))
    assert first.context is second.context is not own.context
    assert first == second != own
    assert OpenAI(spec("http://x.example"), "", contexts).origin.context is None


@pytest.mark.parametrize("status", [201, 202, 204, 206, 600, 999])
def test_any_other_status_is_no_answer(status: int) -> None:
    fault = OpenAI(spec()).classify_error(status, {}, b"")
    assert type(fault) is ProtocolError and fault.http_status == 502 and fault.upstream_status == status


@pytest.mark.parametrize("body", [b"<html>", b"", b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_rejection_that_only_claims_to_be_json_is_worded_by_the_gateway(body: bytes) -> None:
    fault = OpenAI(spec()).classify_error(400, {b"content-type": b"application/json"}, body)
    assert isinstance(fault, Rejected) and fault.body == b""


@pytest.mark.parametrize("content_type", [b"application/json\x85", b"application/json; x=\xe9"])
def test_a_content_type_that_no_header_may_hold_is_dropped(content_type: bytes) -> None:
    fault = OpenAI(spec()).classify_error(400, {b"content-type": content_type}, b"{}")
    assert isinstance(fault, Rejected) and fault.content_type == ""


@pytest.mark.parametrize(
    ("key", "body", "shown"),
    [
        ("sk-0123456789abc", b'{"error":"bad key sk-0123456789abc"}', b'{"error":"bad key ***"}'),
        ("x", b'{"error":"x"}', b'{"error":"x"}'),
        ("", b'{"error":"x"}', b'{"error":"x"}'),
    ],
    ids=["a key", "a word", "none"],
)
def test_a_key_that_the_provider_repeats_is_concealed(key: str, body: bytes, shown: bytes) -> None:
    assert OpenAI(spec(key=Secret(key) if key else None)).redact(body) == shown
