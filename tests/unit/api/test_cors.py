"""Pages of the configured origins may ask, those of others may not read; and whoever is no browser notices nothing."""

import subprocess
import sys

import pytest

from tests.support.http import CHAT, Answer, Head, chat_body
from tests.support.raw import RawClient
from tests.support.replay import STREAM, completion, full_response, stream
from tests.support.serving import OPEN_CONFIG, TENANT_CONFIG, WITH_KEY, ServeText, Serving

OURS, OTHERS = "https://app.example", "https://evil.example"
ORIGIN = {"origin": OURS}


def with_cors(origins: str, text: str = OPEN_CONFIG) -> str:
    return f"{text}server: {{cors: {origins}}}\n"


@pytest.fixture
async def closed(serve_text: ServeText) -> Serving:
    """A gateway with a tenant, whose pages are those of one origin."""
    return await serve_text(with_cors(f"['{OURS}', 'http://localhost:3000']", TENANT_CONFIG))


async def ask(
    client: RawClient, method: str, path: str, headers: dict[str, str], body: bytes | dict[str, object] | None = None
) -> Answer:
    client.request(method, path, body, headers)
    return await client.read_answer(is_head=method == "HEAD")


def preflight(origin: str = OURS, method: str = "POST", headers: str = "authorization,content-type") -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}


def is_open(head: Head, origin: str = OURS) -> bool:
    """Tell whether a browser lets a page of `origin` read the answer with all its headers, whatever is cached between."""
    seen = {
        name: head.get(f"access-control-{name}") for name in ("allow-origin", "expose-headers", "allow-credentials")
    }
    assert head.get("vary") == "Origin"
    return seen == {"allow-origin": origin, "expose-headers": "*", "allow-credentials": None}


def says_nothing(head: Head) -> bool:
    """Tell whether a browser keeps the answer from every page."""
    assert head.get("vary") == "Origin"
    return not any(name.startswith("access-control-") for name in head.names)


async def test_a_preflight_is_answered_without_a_key(closed: Serving) -> None:
    asked = "authorization,content-type,x-api-key,x-stainless-lang,anthropic-version,openai-organization,traceparent"
    async with closed.connect() as client:
        answer = await ask(client, "OPTIONS", CHAT, preflight(headers=asked))
        assert answer.status == 200
        assert answer.header("access-control-allow-origin") == OURS
        assert answer.header("access-control-allow-methods") == "POST"
        allowed = answer.header("access-control-allow-headers")
        assert allowed is not None and set(allowed.lower().split(",")) == set(asked.split(","))
        assert answer.header("access-control-max-age") == "600"
        assert answer.header("access-control-allow-credentials") is None
        assert (answer.header("vary"), answer.header("server")) == ("Origin", "llm-gateway")


@pytest.mark.parametrize(
    "headers",
    [
        preflight(OTHERS),
        preflight("null"),
        preflight("https://app.example.evil"),
        preflight("https://app.example:8443"),
        preflight("http://app.example"),
        preflight("*"),
        preflight(method="DELETE"),
        preflight(method="post"),
    ],
)
async def test_another_origin_or_method_is_refused_in_our_own_shape(closed: Serving, headers: dict[str, str]) -> None:
    async with closed.connect() as client:
        answer = await ask(client, "OPTIONS", CHAT, headers)
        assert answer.status == 403
        assert answer.error()["code"] == "foreign_origin"
        assert answer.header("x-request-id")
        assert says_nothing(answer.head)
        assert OTHERS.encode() not in answer.body


@pytest.mark.parametrize("headers", [{}, ORIGIN, {"access-control-request-method": "POST"}])
async def test_what_is_no_preflight_is_any_other_request(closed: Serving, headers: dict[str, str]) -> None:
    async with closed.connect() as client:
        assert (await ask(client, "OPTIONS", CHAT, headers)).status == 401
    async with closed.connect() as client:
        assert (await ask(client, "OPTIONS", CHAT, headers | WITH_KEY)).status == 405


async def test_answers_and_streams_and_errors_are_open_to_the_page(closed: Serving) -> None:
    line = closed.line
    line.play(a=[full_response(completion()), stream(*STREAM), full_response(b"{}", 400)])
    async with closed.connect() as client:
        answer = await ask(client, "POST", CHAT, ORIGIN | WITH_KEY, chat_body("auto"))
        assert (answer.status, is_open(answer.head)) == (200, True)
        answer = await ask(client, "POST", CHAT, ORIGIN | WITH_KEY, chat_body("auto", stream=True))
        assert (answer.status, is_open(answer.head)) == (200, True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
        for body, status in ((chat_body("auto"), 400), (chat_body("nothing"), 404), (b"{", 400)):
            answer = await ask(client, "POST", CHAT, ORIGIN | WITH_KEY, body)
            assert (answer.status, is_open(answer.head)) == (status, True)


async def test_a_page_may_read_why_its_key_is_refused(closed: Serving) -> None:
    async with closed.connect() as client:
        answer = await ask(client, "POST", CHAT, ORIGIN, chat_body("auto"))
        assert (answer.status, is_open(answer.head)) == (401, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/health", 200), ("GET", "/v1/models", 401), ("HEAD", "/ready", 200), ("POST", "/v1/nothing", 401)],
)
async def test_whatever_aiohttp_sends_is_open_too(closed: Serving, method: str, path: str, status: int) -> None:
    async with closed.connect() as client:
        answer = await ask(client, method, path, ORIGIN)
        assert (answer.status, is_open(answer.head)) == (status, True)


@pytest.mark.parametrize("headers", [{}, {"origin": OTHERS}, {"origin": "null"}])
async def test_who_comes_from_elsewhere_is_served_without_a_word_of_origins(
    closed: Serving, headers: dict[str, str]
) -> None:
    closed.line.play(a=[full_response(completion())])
    async with closed.connect() as client:
        answer = await ask(client, "POST", CHAT, headers | WITH_KEY, chat_body("auto"))
        assert (answer.status, says_nothing(answer.head)) == (200, True)
        answer = await ask(client, "GET", "/v1/models", headers | WITH_KEY)
        assert (answer.status, says_nothing(answer.head)) == (200, True)


async def test_a_star_opens_to_all(serve_text: ServeText) -> None:
    serving = await serve_text(with_cors("'*'"))
    serving.line.play(a=[full_response(completion())])
    async with serving.connect() as client:
        assert (await ask(client, "OPTIONS", CHAT, preflight("null"))).status == 200
        answer = await ask(client, "POST", CHAT, {"origin": "null"}, chat_body("auto"))
        assert (answer.status, is_open(answer.head, "null")) == (200, True)
        assert is_open((await ask(client, "GET", "/health", {"origin": OTHERS})).head, OTHERS)


@pytest.mark.parametrize("header", ["origin", "access-control-request-method", "access-control-request-headers"])
@pytest.mark.parametrize("odd", ["https://é", "a\tb", "\x80\xff"])
async def test_what_would_be_said_back_must_be_printable(serve_text: ServeText, header: str, odd: str) -> None:
    serving = await serve_text(with_cors("'*'"))
    async with serving.connect() as client:
        answer = await ask(client, "OPTIONS", CHAT, preflight() | {header: odd})
        assert (answer.status, answer.error()["code"]) == (400, "invalid_http")
    async with serving.connect() as client:
        answer = await ask(client, "POST", CHAT, {header: odd}, chat_body("auto"))
        assert (answer.status, answer.error()["code"]) == (400, "invalid_http")


async def test_a_body_is_invited_after_the_key_only(closed: Serving) -> None:
    closed.line.play(a=[full_response(completion())])
    async with closed.connect() as client:
        client.request("POST", CHAT, None, {"expect": "100-continue", "content-length": "9", **ORIGIN})
        assert (await client.read_head()).status == 401
    async with closed.connect() as client:
        body = b'{"model": "auto", "messages": [{"role": "user", "content": "hello"}]}'
        length = str(len(body))
        more = {"expect": "100-continue", "content-length": length, "content-type": "application/json"}
        client.request("POST", CHAT, None, more | ORIGIN | WITH_KEY)
        assert (await client.read_head()).status == 100
        client.send(body)
        answer = await client.read_answer()
        assert (answer.status, is_open(answer.head)) == (200, True)


async def test_without_origins_nothing_is_said(serve_text: ServeText) -> None:
    serving = await serve_text(with_cors("[]"))
    serving.line.play(a=[full_response(completion())])
    async with serving.connect() as client:
        head = (await ask(client, "POST", CHAT, ORIGIN, chat_body("auto"))).head
        assert not any(name.startswith("access-control-") or name == "vary" for name in head.names)
        assert (await ask(client, "OPTIONS", CHAT, preflight())).status == 405


def test_a_worker_does_not_load_what_it_needs_for_origins_only() -> None:
    program = "import sys, gateway.runtime.worker; print('aiohttp_cors' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
