"""The kinds of requests that the gateway reads: chat in every dialect, embeddings, token counts, lists of models.

Requests that are passed through unread are a kind as well: `passthrough.py`.
"""

from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from gateway.api import models
from gateway.api.client_side import ClientSide
from gateway.core.chat import ChatRequest
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.dialects import vendor_of
from gateway.lifecycle import RequestKind
from gateway.pools.route_plan import RoutePlan
from gateway.snapshot import Services, Snapshot
from gateway.upstream.dispatcher import dispatch
from gateway.upstream.token_count import count_tokens

GATEWAY_JSON: Final = {b"content-type": b"application/json", b"cache-control": b"no-store"}
NO_PLAN: Final = RoutePlan(())


class ModelRequest:
    """A request that names a model: chat, messages, responses, completions, embeddings."""

    def read(self, client: ClientSide) -> Awaitable[ChatRequest]:
        return client.read()

    def match(self, exchange: Exchange, snapshot: Snapshot, wall_s: float) -> RoutePlan:
        assert exchange.request is not None
        return snapshot.plans[snapshot.router.match(exchange.request, exchange.headers, exchange.principal, wall_s)]

    def obtain(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, client: ClientSide
    ) -> Awaitable[AbstractContextManager[Response]]:
        return dispatch(exchange, plan, snapshot, services)


class TokenCount(ModelRequest):
    """The same, answered with the number of its tokens."""

    def obtain(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, client: ClientSide
    ) -> Awaitable[AbstractContextManager[Response]]:
        return count_tokens(exchange, plan, snapshot, services)


class ModelList:
    """`GET /v1/models` and `/v1/models/{id}`: no body, no route, the gateway itself answers."""

    async def read(self, client: ClientSide) -> ChatRequest:
        client.leave_body()
        return ChatRequest(raw=b"", path=client.path, model="")

    def match(self, exchange: Exchange, snapshot: Snapshot, wall_s: float) -> RoutePlan:
        return NO_PLAN

    async def obtain(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, client: ClientSide
    ) -> AbstractContextManager[Response]:
        principal, vendor = exchange.principal, vendor_of(exchange.headers)
        body: dict[str, Any]
        if exchange.path == models.PATH:
            body = models.list_models(snapshot, principal, vendor, client.query)
        else:
            name = unquote(exchange.path.removeprefix(f"{models.PATH}/"))
            body = models.one_model(snapshot, principal, name, vendor)
        return nullcontext(Response(200, GATEWAY_JSON, body=msgspec.json.encode(body), origin="gateway"))


MODEL_REQUEST: Final[RequestKind[ClientSide]] = ModelRequest()
TOKEN_COUNT: Final[RequestKind[ClientSide]] = TokenCount()
MODEL_LIST: Final[RequestKind[ClientSide]] = ModelList()
