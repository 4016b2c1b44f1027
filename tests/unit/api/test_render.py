"""Every error of ours as HTTP."""

import json
from collections.abc import Iterator

import pytest

from gateway.api.render import error_body, error_headers, error_response
from gateway.core.errors import (
    GatewayError,
    HiddenError,
    MethodNotAllowed,
    Overloaded,
    QuotaUsedUp,
    Rejected,
    Unauthenticated,
    UpstreamRateLimited,
)
from gateway.dialects import anthropic_messages


def kinds(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


EVERY_KIND = list(kinds(GatewayError))


def make(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, Rejected):
        return kind("no", status=422, body=b"not JSON", content_type="text/plain")
    if issubclass(kind, MethodNotAllowed):
        return kind("no", allow="GET")
    if issubclass(kind, HiddenError):
        return kind("no", body=b"{}", stated=None)
    return kind("what happened", param="model")


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_every_error_has_openai_s_shape(kind: type[GatewayError]) -> None:
    error = make(kind)
    response = error_response(error, "r-1")
    assert isinstance(response.body, bytes)
    document = json.loads(response.body)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "type", "param", "code"}
    assert document["error"]["message"] == error.message
    assert isinstance(document["error"]["type"], str)
    assert response.status == error.http_status
    assert 400 <= response.status < 600
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["server"] == "llm-gateway"
    assert response.headers["cache-control"] == "no-store"


def test_there_are_errors() -> None:
    assert len(EVERY_KIND) > 20


@pytest.mark.parametrize(
    ("seconds", "header"), [(None, None), (0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (29.5, "30")]
)
def test_retry_after_is_in_whole_seconds_and_never_zero(seconds: float | None, header: str | None) -> None:
    assert error_headers(Overloaded("full", retry_after_s=seconds)).get("retry-after") == header


def test_401_says_how_to_authenticate_and_405_what_is_allowed() -> None:
    assert error_headers(Unauthenticated("no key")) == {"www-authenticate": 'Bearer realm="llm-gateway"'}
    assert error_headers(MethodNotAllowed("no", allow="GET, HEAD")) == {"allow": "GET, HEAD"}


def test_official_clients_are_told_not_to_ask_again_where_that_is_in_vain() -> None:
    assert error_headers(QuotaUsedUp("used up"))["x-should-retry"] == "false"
    assert "x-should-retry" not in error_headers(UpstreamRateLimited("later"))
    for should_retry, header in ((True, "true"), (False, "false")):  # the provider's own word
        error = UpstreamRateLimited("later")
        error.should_retry = should_retry
        assert error_headers(error)["x-should-retry"] == header


def test_an_error_comes_in_the_dialect_and_with_the_headers_of_its_client() -> None:
    response = error_response(Overloaded("full"), "r-1", anthropic_messages)
    assert isinstance(response.body, bytes)
    shape = {"type": "overloaded_error", "message": "full"}
    assert json.loads(response.body) == {"type": "error", "error": shape, "request_id": "r-1"}
    assert (response.headers["x-request-id"], response.headers["request-id"]) == ("r-1", "r-1")


def test_a_provider_s_own_rejection_keeps_its_body() -> None:
    body = b'{"error": {"message": "too long", "extra": 1}}'
    error = Rejected("no", status=400, body=body, content_type="application/json; charset=utf-8")
    assert error_body(error) == (body, "application/json; charset=utf-8")


@pytest.mark.parametrize(("body", "kind"), [(b"", "application/json"), (b"<html>", "text/html")])
def test_a_rejection_that_is_not_json_becomes_ours(body: bytes, kind: str) -> None:
    rendered, content_type = error_body(Rejected("no", status=400, body=body, content_type=kind))
    assert content_type == "application/json"
    assert json.loads(rendered)["error"]["message"] == "no"
