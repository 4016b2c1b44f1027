"""Which path is whose, and who may know."""

import pytest

from tests.support.http import CHAT, chat_body
from tests.support.serving import TENANT_CONFIG, WITH_KEY, ServeText, Serving

PATHS = ["/", "/v1/models", "/v1/models/auto", CHAT, "/v1/nothing", "/metrics", "/admin/config", "/health/", "//health"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize("path", PATHS)
async def test_without_a_key_every_path_is_401(serve_text: ServeText, method: str, path: str) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.request(method, path)
        answer = await client.read_answer(is_head=method == "HEAD")
        assert answer.status == 401
        assert answer.header("www-authenticate") == 'Bearer realm="llm-gateway"'
        if method != "HEAD":
            assert answer.error()["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_need_no_key(serve_text: ServeText, path: str) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.request("GET", path)
        assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/nothing", 404, None),
        ("POST", "/v1/nothing", 404, None),
        ("GET", "/metrics", 404, None),
        ("GET", "/v1/models/", 404, None),
        ("GET", CHAT, 405, "POST"),
        ("HEAD", CHAT, 405, "POST"),
        ("PUT", CHAT, 405, "POST"),
        ("TRACE", CHAT, 405, "POST"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("DELETE", "/v1/models/auto", 405, "GET, HEAD"),
        ("POST", "/health", 405, "GET, HEAD"),
        ("post", CHAT, 400, None),
        ("GET", "/v1/models", 200, None),
        ("HEAD", "/v1/models", 200, None),
        ("GET", "/v1/models/auto?x=1", 200, None),
    ],
)
async def test_with_a_key_the_path_is_looked_at(
    serve_text: ServeText, method: str, path: str, status: int, allow: str | None
) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.request(method, path, headers=WITH_KEY)
        answer = await client.read_answer(is_head=method == "HEAD")
        assert (answer.status, answer.header("allow")) == (status, allow)
        assert answer.header("x-request-id")
        assert answer.header("server") == "llm-gateway"
        if method != "HEAD" and status >= 400:
            assert answer.error()["message"]


async def test_a_body_behind_a_request_that_takes_none_ends_the_connection(serving: Serving) -> None:
    """It is not waited for, and what follows is not taken for a request."""
    async with serving.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        client.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n    ")
        assert await client.read_rest() == b""


async def test_a_body_that_came_with_its_request_does_not(serving: Serving) -> None:
    async with serving.connect() as client:
        client.request("POST", "/v1/nothing", chat_body("auto"))
        assert (await client.read_answer()).status == 404
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


async def test_an_id_is_kept_or_given(serving: Serving) -> None:
    async with serving.connect() as client:
        client.request("GET", "/health", headers={"x-request-id": "mine-1"})
        assert (await client.read_answer()).header("x-request-id") == "mine-1"
        client.request("GET", "/nothing", headers={"x-request-id": "not mine"})
        assert ((await client.read_answer()).header("x-request-id") or "").startswith("req-")


VERSION = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "type"),
    [
        ("GET", "/v1/messages/nothing", {}, 401, "authentication_error"),
        ("GET", "/v1/messages/nothing", WITH_KEY, 404, "not_found_error"),
        ("GET", "/v1/models/nothing", {**WITH_KEY, **VERSION}, 404, "not_found_error"),
        ("GET", "/v1/nothing", {**WITH_KEY, **VERSION}, 404, "not_found_error"),
        ("PUT", "/v1/models", {**WITH_KEY, **VERSION}, 405, "invalid_request_error"),
        ("GET", "/v1/messages", {**WITH_KEY, "upgrade": "h2c"}, 400, "invalid_request_error"),
    ],
)
async def test_errors_come_in_the_dialect_of_the_path_or_the_client(
    serve_text: ServeText, method: str, path: str, headers: dict[str, str], status: int, type: str
) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.request(method, path, headers=headers)
        answer = await client.read_answer()
    assert answer.status == status
    found = answer.json()
    assert (set(found), found["type"], found["error"]["type"]) == ({"type", "error", "request_id"}, "error", type)
    assert found["request_id"] == answer.header("x-request-id")
    assert answer.header("request-id") == answer.header("x-request-id") or not headers.keys() & VERSION.keys()
