"""The simulator's HTTP server: the endpoints of the scripted provider, and its statistics."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from gateway.core.clock import Clock
from gateway.providers.simulator_behaviour import BASE_NAME, Behaviour, behaviour_of
from gateway.simulator.chat import Chat
from gateway.simulator.completions import Completions
from gateway.simulator.embeddings import Embeddings
from gateway.simulator.files import FILES, FileContent, FileFacts, FileRemoval, FileUploads, Transcriptions
from gateway.simulator.form_parser import read_form
from gateway.simulator.framing import Step
from gateway.simulator.handler import ApiHandler, ErrorResponse
from gateway.simulator.headers import wants_pages
from gateway.simulator.messages import CountTokens, Messages
from gateway.simulator.model_output import generate
from gateway.simulator.player import AlreadySent, play
from gateway.simulator.request import BadRequest
from gateway.simulator.responses import Responses
from gateway.simulator.script import error_bytes, script
from gateway.simulator.small_endpoints import Batches, Images, Moderations, Rerank, Speech
from gateway.simulator.stats import MAX_MODELS, Counts, Stats

MAX_BODY_BYTES: Final = 256 * 2**20

HANDLERS: Final[tuple[ApiHandler, ...]] = (
    Chat(),
    Completions(),
    Messages(),
    CountTokens(),
    Responses(),
    Embeddings(),
    Moderations(),
    Rerank(),
    Images(),
    Speech(),
    Batches(),
)
FORM_HANDLERS: Final[tuple[ApiHandler, ...]] = (Transcriptions(), FileUploads())
PATH_HANDLERS: Final[tuple[tuple[str, str, ApiHandler], ...]] = (
    ("GET", FILES, FileFacts()),
    ("GET", FILES + "/{id}", FileFacts()),
    ("DELETE", FILES + "/{id}", FileRemoval()),
    ("GET", FILES + "/{id}/content", FileContent()),
    ("GET", Batches.path + "/{id}", Batches()),
    ("POST", Batches.path + "/{id}/cancel", Batches()),
)
# As in a vendor's cloud: the path names the model.
DEPLOYMENT_PATH: Final = "/{vendor}/deployments/{deployment}"
DEPLOYMENT_HANDLERS: Final[tuple[ApiHandler, ...]] = (Chat(), Completions(), Embeddings())


class Simulator:
    """The endpoints of the scripted provider."""

    def __init__(self, clock: Clock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats
        self._behaviours: dict[str, Behaviour] = {}  # by name: parsing one costs as much as a small response

    def application(self) -> web.Application:
        """Return the application to serve; its runner must enable `handler_cancellation`."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        add = app.router.add_route
        for handler in HANDLERS:
            add("POST", handler.path, partial(self._handle, handler))
        for handler in FORM_HANDLERS:
            add("POST", handler.path, partial(self._handle_form, handler))
        for method, path, handler in PATH_HANDLERS:
            add(method, path, partial(self._handle, handler))
        for handler in DEPLOYMENT_HANDLERS:
            add("POST", DEPLOYMENT_PATH + handler.path.removeprefix("/v1"), partial(self._handle, handler))
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{id}", self._model)
        app.router.add_get("/health", self._health)
        app.router.add_get("/stats", self._show_stats)
        app.router.add_get("/sim/calls", self._show_calls)
        return app

    async def _handle(self, handler: ApiHandler, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return await self._respond(handler, request, body, request.match_info)

    async def _handle_form(self, handler: ApiHandler, request: web.Request) -> web.StreamResponse:
        try:
            form = await read_form(request, self._clock, _upload_rate)
        except BadRequest as error:
            return await self._respond(handler, request, b"", {}, str(error))
        return await self._respond(handler, request, b"", {"form": form})

    async def _respond(
        self, handler: ApiHandler, request: web.Request, body: bytes, params: Mapping[str, Any], error: str = ""
    ) -> web.StreamResponse:
        """Answer one request; `error`: the message of an error found before, "" for none."""
        began = self._clock.monotonic()
        steps, counters = self._prepare(handler, request, body, params, error)
        try:
            await play(steps, request, self._clock, began, counters)
        except asyncio.CancelledError:
            self._abort(counters)
            raise
        except ConnectionError:
            self._abort(counters)
        else:
            for counts in counters:
                counts.completed += 1
        finally:
            for counts in counters:
                counts.active -= 1
        return AlreadySent()

    def _abort(self, counters: Iterable[Counts]) -> None:
        now_ns = round(self._clock.monotonic() * 1e9)
        for counts in counters:
            counts.aborted += 1
            counts.last_abort_ns = now_ns

    def _prepare(
        self, handler: ApiHandler, request: web.Request, body: bytes, params: Mapping[str, Any], error: str
    ) -> tuple[Iterator[Step], tuple[Counts, Counts]]:
        created = int(self._clock.wall())
        try:
            if error:
                raise BadRequest(error)
            simulated = handler.read_request(body, params)
        except BadRequest as error:
            counters = self._stats.record_request("", request.raw_headers, body, handler.path)
            return _error_steps(handler, ErrorResponse(400, "invalid_request", str(error)), created), counters
        counters = self._stats.record_request(
            simulated.model, request.raw_headers, body, handler.path, simulated.inputs
        )
        try:
            behaviour = self._behaviour(simulated.model)
        except ValueError as error:
            return _error_steps(handler, ErrorResponse(404, "model_not_found", str(error)), created), counters
        if not behaviour.fails(counters[1].requests):
            behaviour = behaviour.without_faults()
        return script(handler, generate(simulated, behaviour, counters[0].requests, created)), counters

    def _behaviour(self, model: str) -> Behaviour:
        known = self._behaviours.get(model)
        if known is None:
            if len(self._behaviours) >= MAX_MODELS:
                self._behaviours.clear()
            known = self._behaviours[model] = behaviour_of(model)
        return known

    async def _models(self, request: web.Request) -> web.Response:
        """List the models in the format of the client's vendor."""
        if wants_pages(request.headers):
            entry = _paged_model(BASE_NAME)
            return web.json_response({"data": [entry], "has_more": False, "first_id": BASE_NAME, "last_id": BASE_NAME})
        return web.json_response({"object": "list", "data": [_listed_model(BASE_NAME)]})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return web.json_response(_paged_model(name) if wants_pages(request.headers) else _listed_model(name))

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _show_stats(self, request: web.Request) -> web.Response:
        """Return all counts, or with `?model=NAME` the counts of one model."""
        model = request.query.get("model")
        counts = self._stats.total if model is None else self._stats.models.get(model, Counts())
        return web.json_response({name: getattr(counts, name) for name in Counts.__slots__})

    async def _show_calls(self, request: web.Request) -> web.Response:
        """Return how often each endpoint was called, by model."""
        return web.json_response(self._stats.calls_by_path())


def _error_steps(handler: ApiHandler, error: ErrorResponse, created: int) -> Iterator[Step]:
    yield error_bytes(handler, error, Behaviour(), created)


def _upload_rate(model: str) -> int | None:
    try:
        return behaviour_of(model).intake
    except ValueError:
        return None  # answered with an error after the form is read


def _listed_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}


def _paged_model(name: str) -> dict[str, Any]:
    facts = {"id": name, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {**facts, "lifecycle": "active"}
