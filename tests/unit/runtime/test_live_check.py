"""`gateway check --live` says what is wrong with a provider's URL, its key, or a model's id."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.runtime.live_check import Outcome, check_live
from tests.support.processes import free_port
from tests.support.replay import load_config

TEXT = """
version: 1
providers: {a: {kind: openai, url: "http://127.0.0.1:%d%s", key: "k-1", proxy: none}, local: {kind: llamacpp}}
models: {gpt-big: {provider: a, price: {input: 1, output: 2}}, l: {provider: local, price: {input: 0, output: 0}}}
routes: [{name: r, match: [gpt-big, l], to: requested}]
"""
MODELS = json.dumps({"data": [{"id": "gpt-big"}, {"id": "x"}]}).encode()


@contextmanager
def provider(status: int, body: bytes, path: str = "/v1/models") -> Iterator[int]:
    """Serve `body` at one path; return the port. Other paths are 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == path and self.headers["authorization"] == "Bearer k-1"
            self.send_response(status if found else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def outcome(port: int, path: str = "/v1") -> Outcome:
    """Return what is said of the one provider that can be asked: the embedded model is not."""
    (one,) = check_live(load_config(TEXT % (port, path)).spec)
    return one


def test_a_provider_that_lists_the_models_is_right() -> None:
    with provider(200, MODELS) as port:
        assert outcome(port) == Outcome("a", True, "2 models")


def test_a_model_that_it_does_not_list_is_named() -> None:
    with provider(200, b'{"data": [{"id": "gpt-bigger"}]}') as port:
        message = '1 models; there is no model "gpt-big", did you mean "gpt-bigger"?'
        assert outcome(port) == Outcome("a", False, message)


@pytest.mark.parametrize(
    ("status", "is_ok", "message"),
    [
        (401, False, "its key is refused (401); check the key, and that it belongs to this url"),
        (403, False, "its key is refused (403); check the key, and that it belongs to this url"),
        (429, True, "url and key are right; it is at its rate limit (429)"),
        (503, False, "it answers with an error of its own (503)"),
        (400, False, "GET /v1/models is refused (400)"),
    ],
)
def test_a_status_is_put_into_words(status: int, is_ok: bool, message: str) -> None:
    with provider(status, b"{}") as port:
        assert outcome(port) == Outcome("a", is_ok, message)


def test_a_url_without_v1_is_found() -> None:
    with provider(200, MODELS) as port:
        assert outcome(port, "").message == (
            "GET /models is unknown there (404): the url is wrong, or the server lists no models; "
            "most urls of this kind end with /v1"
        )


def test_a_page_for_people_is_no_list_of_models() -> None:
    with provider(200, b"<html>") as port:
        message = "GET /v1/models answers with something else than a list of models; check its url"
        assert outcome(port) == Outcome("a", False, message)


def test_a_server_that_is_not_there_is_named() -> None:
    found = outcome(free_port())
    assert not found.is_ok
    assert found.message.startswith("no connection to the provider") and found.message.endswith("; check its url")
