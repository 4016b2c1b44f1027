"""The endpoints of the scripted provider, and what it tells about itself."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from gateway.core.clock import Clock
from gateway.providers.simulator_behaviour import BASE_NAME, Behaviour, behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import BadAsk
from gateway.simulator.chat import Chat
from gateway.simulator.completions import Completions
from gateway.simulator.documents import Batches, Images, Moderations, Rerank, Speech
from gateway.simulator.embeddings import Embeddings
from gateway.simulator.face import Face, Trouble
from gateway.simulator.files import FILES, FileContent, FileFacts, FileRemoval, FileUploads, Transcriptions
from gateway.simulator.form import read_form
from gateway.simulator.framing import Step
from gateway.simulator.heads import wants_pages
from gateway.simulator.messages import CountTokens, Messages
from gateway.simulator.player import Played, play
from gateway.simulator.responses import Responses
from gateway.simulator.script import refusal, script
from gateway.simulator.stats import MAX_MODELS, Counts, Stats

MAX_BODY_BYTES: Final = 256 * 2**20

FACES: Final[tuple[Face, ...]] = (
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
FORM_FACES: Final[tuple[Face, ...]] = (Transcriptions(), FileUploads())
PATH_FACES: Final[tuple[tuple[str, str, Face], ...]] = (
    ("GET", FILES, FileFacts()),
    ("GET", FILES + "/{id}", FileFacts()),
    ("DELETE", FILES + "/{id}", FileRemoval()),
    ("GET", FILES + "/{id}/content", FileContent()),
    ("GET", Batches.path + "/{id}", Batches()),
    ("POST", Batches.path + "/{id}/cancel", Batches()),
)
# As a vendor's cloud has them: the model is named by the path.
DEPLOYED: Final = "/{vendor}/deployments/{deployment}"
DEPLOYED_FACES: Final[tuple[Face, ...]] = (Chat(), Completions(), Embeddings())


class Simulator:
    """The endpoints of the scripted provider."""

    def __init__(self, clock: Clock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats
        self._behaviours: dict[str, Behaviour] = {}  # by name: reading one costs as much as a small answer

    def application(self) -> web.Application:
        """Give the application to serve; its runner must have `handler_cancellation` on."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        add = app.router.add_route
        for face in FACES:
            add("POST", face.path, partial(self._take, face))
        for face in FORM_FACES:
            add("POST", face.path, partial(self._take_form, face))
        for method, path, face in PATH_FACES:
            add(method, path, partial(self._take, face))
        for face in DEPLOYED_FACES:
            add("POST", DEPLOYED + face.path.removeprefix("/v1"), partial(self._take, face))
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{id}", self._model)
        app.router.add_get("/health", self._health)
        app.router.add_get("/stats", self._tell)
        app.router.add_get("/sim/calls", self._calls)
        return app

    async def _take(self, face: Face, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return await self._answer(face, request, body, request.match_info)

    async def _take_form(self, face: Face, request: web.Request) -> web.StreamResponse:
        try:
            form = await read_form(request, self._clock, _intake)
        except BadAsk as error:
            return await self._answer(face, request, b"", {}, str(error))
        return await self._answer(face, request, b"", {"form": form})

    async def _answer(
        self, face: Face, request: web.Request, body: bytes, given: Mapping[str, Any], wrong: str = ""
    ) -> web.StreamResponse:
        """Answer one request; `wrong`: what is wrong with it already."""
        began = self._clock.monotonic()
        steps, both = self._begin(face, request, body, given, wrong)
        try:
            await play(steps, request, self._clock, began, both)
        except asyncio.CancelledError:
            self._abort(both)
            raise
        except ConnectionError:
            self._abort(both)
        else:
            for counts in both:
                counts.completed += 1
        finally:
            for counts in both:
                counts.active -= 1
        return Played()

    def _abort(self, both: Iterable[Counts]) -> None:
        now_ns = round(self._clock.monotonic() * 1e9)
        for counts in both:
            counts.aborted += 1
            counts.last_abort_ns = now_ns

    def _begin(
        self, face: Face, request: web.Request, body: bytes, given: Mapping[str, Any], wrong: str
    ) -> tuple[Iterator[Step], tuple[Counts, Counts]]:
        created = int(self._clock.wall())
        try:
            if wrong:
                raise BadAsk(wrong)
            ask = face.read(body, given)
        except BadAsk as error:
            both = self._stats.arrive("", request.raw_headers, body, face.path)
            return _refused(face, Trouble(400, "invalid_request", str(error)), created), both
        both = self._stats.arrive(ask.model, request.raw_headers, body, face.path, ask.inputs)
        try:
            behaviour = self._behaviour(ask.model)
        except ValueError as error:
            return _refused(face, Trouble(404, "model_not_found", str(error)), created), both
        if not behaviour.fails(both[1].requests):
            behaviour = behaviour.without_faults()
        return script(face, compose(ask, behaviour, both[0].requests, created)), both

    def _behaviour(self, model: str) -> Behaviour:
        known = self._behaviours.get(model)
        if known is None:
            if len(self._behaviours) >= MAX_MODELS:
                self._behaviours.clear()
            known = self._behaviours[model] = behaviour_of(model)
        return known

    async def _models(self, request: web.Request) -> web.Response:
        """The list of models, in the shape that the client's own vendor gives it."""
        if wants_pages(request.headers):
            entry = _paged_model(BASE_NAME)
            return web.json_response({"data": [entry], "has_more": False, "first_id": BASE_NAME, "last_id": BASE_NAME})
        return web.json_response({"object": "list", "data": [_listed_model(BASE_NAME)]})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return web.json_response(_paged_model(name) if wants_pages(request.headers) else _listed_model(name))

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _tell(self, request: web.Request) -> web.Response:
        """All counts, or with `?model=NAME` those of one model."""
        model = request.query.get("model")
        counts = self._stats.total if model is None else self._stats.models.get(model, Counts())
        return web.json_response({name: getattr(counts, name) for name in Counts.__slots__})

    async def _calls(self, request: web.Request) -> web.Response:
        """How often each endpoint was called, by model."""
        return web.json_response(self._stats.told_calls())


def _refused(face: Face, trouble: Trouble, created: int) -> Iterator[Step]:
    yield refusal(face, trouble, Behaviour(), created)


def _intake(model: str) -> int | None:
    try:
        return behaviour_of(model).intake
    except ValueError:
        return None  # is refused in words when all is read


def _listed_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}


def _paged_model(name: str) -> dict[str, Any]:
    facts = {"id": name, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {**facts, "lifecycle": "active"}
