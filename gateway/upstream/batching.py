"""Small requests of one tenant sent as one: what is alike, how the batch is sent, and each request's part of the response.

`pools/batches.py` keeps the open batches. A batch holds requests of one tenant only: no other tenant's input, usage or
failure is in the same call.
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from gateway.core.chat import ChatRequest
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.core.usage import Usage
from gateway.dialects.base import Batching
from gateway.pools.batches import BatchItem
from gateway.pools.target import Target
from gateway.providers.transport import UpstreamResponse
from gateway.snapshot import Services


class BatchRequest(Protocol):
    """The request that a batch begins with; `upstream.request.UpstreamRequest` is one."""

    exchange: Exchange
    target: Target
    services: Services
    model_id: str

    def body(self, request: ChatRequest) -> bytes: ...

    def head(self) -> str: ...

    def client_lines(self) -> str: ...

    async def begin(self, body: bytes, head: str, total_at: float | None, *, is_stream: bool) -> UpstreamResponse: ...

    def read(self, upstream: UpstreamResponse) -> Awaitable[bytes]: ...

    def read_answer(self, body: bytes, request: ChatRequest) -> tuple[bytes, Usage | None]: ...


async def send_in_batch(
    first: BatchRequest, request: ChatRequest, batching: Batching, inputs: int, total_at: float | None
) -> Response:
    """Send a request together with others that are alike, of the same tenant. Raises `UpstreamError`."""
    exchange, target, services = first.exchange, first.target, first.services
    settings = target.batch
    assert settings is not None
    client_lines = first.client_lines()

    async def send(requests: Sequence[ChatRequest]) -> list[Response]:
        """Send the requests of a batch, of which this one is the first."""
        others = len(requests) - 1
        services.metrics.batches[exchange.pool].value += 1
        services.metrics.batched_requests[exchange.pool].value += len(requests)
        if others:
            body = batching.join(requests, first.model_id)
            head = f"x-request-id: {exchange.id}+{others}\r\n{client_lines}"
        else:
            body, head = first.body(request), first.head()
        upstream = await first.begin(body, head, None, is_stream=False)  # each request keeps its own total timeout
        try:
            whole = await first.read(upstream)
            parts = batching.split(whole, requests) if others else [first.read_answer(whole, request)]
        except BaseException:
            upstream.close()
            raise
        return [Response(upstream.status, upstream.headers, body=body, usage=usage) for body, usage in parts]

    key = (target, first.model_id, exchange.principal.tenant, client_lines, batching.batch_key(request))
    return await services.batches.ask(key, BatchItem(request, inputs, send), settings, total_at)
