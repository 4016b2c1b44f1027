"""Active health checks: a request that costs nothing, sent at intervals to each provider with `health:`.

| response                    | endpoints of the check                                               |
|-----------------------------|----------------------------------------------------------------------|
| 5xx, no response, timeout   | unhealthy after `failures` of these in a row                         |
| 401, 403                    | healthy; the key is marked as refused (`Directory.mark_key_refused`) |
| 2xx                         | healthy; a refused key is marked as accepted, unless `path` is set:  |
|                             | that path may need no key                                            |
| any other                   | healthy: the provider responded                                      |

One check serves all endpoints of the same provider, URL and key. Every worker runs its own checks, since its connections are its
own.
"""

import asyncio
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.config.spec import HealthSpec
from gateway.core.errors import GatewayError
from gateway.core.tasks import Tasks
from gateway.pools.directory import Directory
from gateway.pools.rotation import EndpointRotation
from gateway.pools.target import Target
from gateway.providers.transport import Origin, UpstreamResponse, WireRequest
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.relay import Document

log = logging.getLogger(__name__)

START_SPREAD_S: Final = 1.0  # a new check starts within so long, so that not all start at once
JITTER: Final = 0.1  # share of the interval by which it varies at random
BODY_LIMIT: Final = 2**20  # bytes of a response that are read, so that its connection can be reused


class RequestSender(Protocol):
    """Sends requests to providers: the transport."""

    async def send(self, request: WireRequest) -> UpstreamResponse:
        """Send a request and wait for the head of its response. Raises `UpstreamError`."""
        ...


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """The request of a check: where it goes, its head, its interval. Equal ones are one check, which a reload leaves running."""

    provider: str
    origin: Origin
    head: bytes
    spec: HealthSpec


class HealthChecks:
    """The checks of the active configuration. `tasks` owns their tasks."""

    def __init__(
        self,
        transport: RequestSender,
        directory: Directory,
        rotation: EndpointRotation,
        tasks: Tasks,
        rng: random.Random,
    ) -> None:
        self._transport = transport
        self._directory = directory
        self._rotation = rotation
        self._tasks = tasks
        self._rng = rng
        self._running: dict[HealthRequest, _Check] = {}

    def track(self, targets: Iterable[tuple[Target, HealthSpec | None]]) -> None:
        """Check these targets, each by its provider's spec, and no others.

        A check that already runs goes on in its rhythm. An endpoint without a check is healthy.
        """
        wanted: dict[HealthRequest, list[Target]] = {}
        for target, spec in {target.endpoint: (target, spec) for target, spec in targets}.values():
            head = None if spec is None else target.provider.health_check_head(spec.path)
            if spec is None or head is None:
                self._rotation.set_health(target.endpoint, is_healthy=True)
            else:
                request = HealthRequest(target.endpoint.provider, target.provider.origin, head, spec)
                wanted.setdefault(request, []).append(target)
        for request in [request for request in self._running if request not in wanted]:
            self._running.pop(request).task.cancel()
        for request, checked in wanted.items():
            check = self._running.get(request)
            if check is None:
                check = self._running[request] = _Check()
                check.task = self._tasks.start(self._run(request, check), f"health of {request.provider}")
            check.targets = checked
            check.origin = request.origin

    async def _run(self, request: HealthRequest, check: "_Check") -> None:
        """Send the request at intervals, for ever."""
        await asyncio.sleep(self._rng.random() * START_SPREAD_S)
        while True:
            status = await self._send(request, check)
            self._apply(request, check, status)
            await asyncio.sleep(request.spec.every_s * (1 + JITTER * (2 * self._rng.random() - 1)))

    async def _send(self, request: HealthRequest, check: "_Check") -> int | None:
        """Return the status of the response, None without one in time."""
        timeout_s = request.spec.timeout_s
        loop = asyncio.get_running_loop()
        wire_request = WireRequest(
            origin=check.origin or request.origin,
            head=request.head,
            body=b"",
            timeouts=Timeouts(timeout_s, timeout_s, timeout_s, timeout_s, timeout_s),
            is_stream=False,
            total_at=loop.time() + timeout_s,
            write_timeout_s=timeout_s,
        )
        status = None
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._transport.send(wire_request)
                status = response.status
                try:
                    document = Document(response, BODY_LIMIT)
                    response.attach(document)
                    await document.read()
                finally:
                    response.close()
        except (GatewayError, TimeoutError):  # after the status, failures do not matter
            pass
        return status

    def _apply(self, request: HealthRequest, check: "_Check", status: int | None) -> None:
        is_up = status is not None and status < 500
        check.failures = 0 if is_up else check.failures + 1
        for target in check.targets:
            if is_up:
                self._rotation.set_health(target.endpoint, is_healthy=True)
            elif check.failures >= request.spec.failures:
                self._rotation.set_health(target.endpoint, is_healthy=False)
        first = check.targets[0]
        if status in (401, 403):
            self._directory.mark_key_refused(first.endpoint, first.other_keys)
        elif status is not None and status < 300 and not request.spec.path:
            self._rotation.mark_key_accepted(first.endpoint)


class _Check:
    """A running check and the targets that its response concerns."""

    __slots__ = ("failures", "origin", "targets", "task")

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.origin: Origin | None = None  # as of the last reload, which makes a new TLS context
        self.targets: list[Target] = []
        self.task: asyncio.Task[None]
