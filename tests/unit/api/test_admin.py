"""The admin surface: who may knock at which door, and what is answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.api.admin import AccessCheck, make_admin_runner
from gateway.config.spec import Listen
from gateway.core.errors import NotFound
from gateway.core.secret import Secret
from tests.support.http import Answer, Connection

KEY = "the-admin-key"
LOOPBACK = Listen("127.0.0.1", 9000)


class Control:
    """What stands behind the surface."""

    def __init__(self) -> None:
        self.is_ready = True
        self.outcome: dict[str, Any] = {"ok": True, "generation": 2}
        self.reloads = 0
        self.turned: list[str] = []

    async def metrics(self) -> bytes:
        return b"# HELP x y\n"

    async def health(self) -> dict[str, Any]:
        return {"status": "healthy"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {"ready": self.is_ready}

    def configuration(self) -> dict[str, Any]:
        return {"generation": 1}

    async def reload(self) -> dict[str, Any]:
        self.reloads += 1
        if self.outcome is None:
            raise RuntimeError("a bug at /some/path")
        return self.outcome

    async def endpoints(self) -> dict[str, Any]:
        return {"endpoints": [], "pools": []}

    async def drain(self, name: str) -> dict[str, Any]:
        return self._turn("drain", name)

    async def enable(self, name: str) -> dict[str, Any]:
        return self._turn("enable", name)

    def _turn(self, what: str, name: str) -> dict[str, Any]:
        if name != "web/big":
            raise NotFound("there is no such endpoint; did you mean 'web/big'?")
        self.turned.append(what)
        return {"endpoints": [name]}


class Door:
    """A served admin surface."""

    def __init__(self, control: Control, address: tuple[str, int]) -> None:
        self.control = control
        self.address = address

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("host", f"127.0.0.1:{self.address[1]}")
        return await asyncio.get_running_loop().run_in_executor(None, self._ask, method, path, body, named)

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        with Connection(self.address) as connection:
            connection.request(method, path, body if method == "POST" else None, headers)
            if method == "HEAD":
                return Answer(connection.read_head(), b"")
            return connection.read_answer()


async def serve(guard: AccessCheck | None) -> AsyncIterator[Door]:
    control = Control()
    runner = make_admin_runner(control, guard)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Door(control, runner.addresses[0])
    await runner.cleanup()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async for one in serve(AccessCheck(Secret(KEY), LOOPBACK)):
        yield one


@pytest.fixture
async def wide_door() -> AsyncIterator[Door]:
    """As for a listener on all addresses."""
    async for one in serve(AccessCheck(Secret(KEY), Listen("0.0.0.0", 9000))):
        yield one


@pytest.fixture
async def private_door() -> AsyncIterator[Door]:
    async for one in serve(None):
        yield one


WITH_KEY = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize("path", ["/metrics", "/health", "/ready"])
async def test_what_scrapers_and_probes_ask_for_needs_no_key(door: Door, path: str) -> None:
    answer = await door.ask("GET", path)
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert (await door.ask("HEAD", path)).status == 200


async def test_metrics_come_as_prometheus_reads_them(door: Door) -> None:
    answer = await door.ask("GET", "/metrics")
    assert answer.body == b"# HELP x y\n"
    assert (answer.header("content-type") or "").startswith("text/plain; version=0.0.4")


async def test_not_ready_is_503_with_its_reason(door: Door) -> None:
    door.control.is_ready = False
    answer = await door.ask("GET", "/ready")
    assert (answer.status, answer.json()) == (503, {"ready": False})


@pytest.mark.parametrize(
    "credential",
    [None, "", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY, "Bearer \xe9"],
)
async def test_without_the_key_there_is_401(door: Door, credential: str | None) -> None:
    headers = {} if credential is None else {"authorization": credential}
    for method, path in (("GET", "/admin/config"), ("POST", "/admin/reload"), ("GET", "/admin/nothing")):
        answer = await door.ask(method, path, **headers)
        assert answer.status == 401
        assert answer.error()["code"] == "invalid_admin_key"
        assert answer.header("www-authenticate") is not None
    assert door.control.reloads == 0


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_key_the_configuration_shows(door: Door, scheme: str) -> None:
    answer = await door.ask("GET", "/admin/config", authorization=f"{scheme} {KEY}")
    assert (answer.status, answer.json()) == (200, {"generation": 1})


async def test_a_reload_gives_its_outcome(door: Door) -> None:
    assert (await door.ask("POST", "/admin/reload", **WITH_KEY)).status == 200
    door.control.outcome = {"ok": False, "problems": ["p"]}
    answer = await door.ask("POST", "/admin/reload", **WITH_KEY)
    assert (answer.status, answer.json()) == (422, {"ok": False, "problems": ["p"]})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9000", "10.0.0.1:9000", "127.0.0.1.evil.example", ""])
async def test_a_foreign_host_is_refused_on_every_path(door: Door, host: str) -> None:
    for path in ("/metrics", "/admin/config"):
        answer = await door.ask("GET", path, host=host, **WITH_KEY)
        assert answer.status in (400, 403)
        assert set(answer.error()) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.8.8:1", "[::1]:9000", "[::1]"])
async def test_every_name_of_the_loopback_is_its_own(door: Door, host: str) -> None:
    assert (await door.ask("GET", "/admin/config", host=host, **WITH_KEY)).status == 200


async def test_a_second_host_is_refused(door: Door) -> None:
    def ask() -> Answer:
        with Connection(door.address) as connection:
            connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
            return connection.read_answer()

    answer = await asyncio.get_running_loop().run_in_executor(None, ask)
    assert answer.status == 400


async def test_beyond_loopback_a_scraper_may_use_any_name_but_only_for_open_paths(wide_door: Door) -> None:
    assert (await wide_door.ask("GET", "/metrics", host="gateway.prod.svc:9000")).status == 200
    assert (await wide_door.ask("GET", "/admin/config", host="gateway.prod.svc:9000", **WITH_KEY)).status == 403
    assert (await wide_door.ask("GET", "/admin/config", host="10.1.2.3:9000", **WITH_KEY)).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", ""])
async def test_a_foreign_origin_is_refused(door: Door, origin: str) -> None:
    def ask() -> Answer:
        head = f"POST /admin/reload HTTP/1.1\r\nHost: localhost:9000\r\nOrigin: {origin}\r\nAuthorization: Bearer {KEY}"
        with Connection(door.address) as connection:
            connection.send(head.encode() + b"\r\nContent-Length: 0\r\n\r\n")
            return connection.read_answer()

    answer = await asyncio.get_running_loop().run_in_executor(None, ask)
    assert (answer.status, door.control.reloads) == (403, 0)


async def test_its_own_origin_is_taken(door: Door) -> None:
    headers = {"host": "localhost:9000", "origin": "http://localhost:9000"}
    assert (await door.ask("POST", "/admin/reload", **WITH_KEY, **headers)).status == 200


async def test_the_private_door_asks_for_nothing(private_door: Door) -> None:
    assert (await private_door.ask("POST", "/admin/reload", host="anything")).status == 200
    assert (await private_door.ask("GET", "/admin/config")).status == 200


async def test_unknown_paths_and_methods_are_told_in_our_shape(door: Door) -> None:
    answer = await door.ask("GET", "/nothing", **WITH_KEY)
    assert (answer.status, answer.error()["code"]) == (404, "not_found")
    answer = await door.ask("GET", "/admin/reload", **WITH_KEY)
    assert (answer.status, answer.header("allow")) == (405, "POST")
    answer = await door.ask("POST", "/metrics", **WITH_KEY)
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


async def test_a_bug_is_500_in_our_shape_without_its_words(door: Door) -> None:
    door.control.outcome = None  # type: ignore[assignment]
    answer = await door.ask("POST", "/admin/reload", **WITH_KEY)
    assert answer.status == 500
    assert "path" not in json.dumps(answer.error()["message"])


async def test_what_is_no_http_is_400_in_our_shape(door: Door) -> None:
    def ask() -> Answer:
        with Connection(door.address) as connection:
            connection.send(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
            return connection.read_answer()

    answer = await asyncio.get_running_loop().run_in_executor(None, ask)
    assert answer.status == 400
    assert answer.error()["type"] == "invalid_request_error"


def test_the_key_does_not_show() -> None:
    assert KEY not in repr(AccessCheck(Secret(KEY), LOOPBACK))


async def test_endpoints_show_to_whoever_has_the_key(door: Door) -> None:
    answer = await door.ask("GET", "/admin/endpoints", **WITH_KEY)
    assert (answer.status, answer.json()) == (200, {"endpoints": [], "pools": []})
    assert (await door.ask("HEAD", "/admin/endpoints", **WITH_KEY)).status == 200
    assert (await door.ask("GET", "/admin/endpoints")).status == 401


@pytest.mark.parametrize("what", ["drain", "enable"])
async def test_an_endpoint_is_drained_and_enabled_by_name(door: Door, what: str) -> None:
    path = f"/admin/endpoints/{what}"
    answer = await door.ask("POST", path, b'{"endpoint": "web/big"}', **WITH_KEY)
    assert (answer.status, answer.json(), door.control.turned) == (200, {"endpoints": ["web/big"]}, [what])
    answer = await door.ask("POST", path, b'{"endpoint": "web/bug"}', **WITH_KEY)
    assert (answer.status, answer.error()["code"]) == (404, "not_found")
    assert "did you mean 'web/big'?" in answer.error()["message"]
    assert (await door.ask("GET", path, **WITH_KEY)).header("allow") == "POST"
    assert (await door.ask("POST", path, b'{"endpoint": "web/big"}')).status == 401
    headers = {**WITH_KEY, "origin": "http://evil.example"}
    assert (await door.ask("POST", path, b'{"endpoint": "web/big"}', **headers)).status == 403
    assert door.control.turned == [what]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"web/big"',
        b"{}",
        b'{"endpoint": 1}',
        b'{"endpoint": "web/big", "force": true}',
        b"\xff",
    ],
)
async def test_a_command_that_is_no_such_json_is_400(door: Door, body: bytes) -> None:
    answer = await door.ask("POST", "/admin/endpoints/drain", body, **WITH_KEY)
    assert (answer.status, answer.error()["param"], door.control.turned) == (400, "endpoint", [])


async def test_a_command_that_is_too_large_is_413(door: Door) -> None:
    body = b'{"endpoint": "%b"}' % (b"x" * 2**17)
    assert (await door.ask("POST", "/admin/endpoints/drain", body, **WITH_KEY)).status == 413


async def test_a_command_that_does_not_come_is_408(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.admin.BODY_TIMEOUT_S", 0.01)

    def ask() -> Answer:
        head = f"POST /admin/endpoints/drain HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        with Connection(door.address) as connection:
            connection.send(head.encode() + b"Content-Length: 20\r\n\r\n{")
            return connection.read_answer()

    answer = await asyncio.get_running_loop().run_in_executor(None, ask)
    assert answer.status == 408
