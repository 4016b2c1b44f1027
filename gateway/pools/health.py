"""Active checks: each provider with `health:` is asked now and then whether it is there, with a request that costs nothing.

| the answer                  | the endpoints behind it                                             |
|-----------------------------|---------------------------------------------------------------------|
| 5xx, none, none in time     | unhealthy after `failures` of these in a row                        |
| 401, 403                    | healthy; the key is refused, and rests where another one is left    |
| 2xx                         | healthy; a key that was refused is taken again (not where `path`    |
|                             | says what is asked for: that may need no key)                       |
| any other                   | healthy: it answered                                                |

One check serves all endpoints of the same provider, URL and key. Every worker checks for itself, since each has its own way there.
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

FIRST_WITHIN_S: Final = 1.0  # after a check has come into force, lest all providers be asked at once
SPREAD: Final = 0.1  # share of the pause by which it differs
BODY_LIMIT: Final = 2**20  # bytes of an answer that are read, so that its connection can be kept


class Asking(Protocol):
    """The way to providers."""

    async def send(self, request: WireRequest) -> UpstreamResponse:
        """Send a request and wait for the head of its answer. Raises `UpstreamError`."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, how often. Equal ones are one check, which a reload leaves alone."""

    provider: str
    origin: Origin
    head: bytes
    spec: HealthSpec


class HealthChecks:
    """The checks of the configuration in force. Their tasks are owned by `tasks`."""

    def __init__(
        self, transport: Asking, directory: Directory, rotation: EndpointRotation, tasks: Tasks, rng: random.Random
    ) -> None:
        self._transport = transport
        self._directory = directory
        self._standing = rotation
        self._tasks = tasks
        self._rng = rng
        self._running: dict[Question, _Check] = {}

    def follow(self, targets: Iterable[tuple[Target, HealthSpec | None]]) -> None:
        """Check these targets from now on, each as its provider's spec says, and no others.

        What was asked before goes on in its rhythm. An endpoint that nobody checks any more is healthy.
        """
        wanted: dict[Question, list[Target]] = {}
        for target, spec in {target.endpoint: (target, spec) for target, spec in targets}.values():
            head = None if spec is None else target.provider.health_check_head(spec.path)
            if spec is None or head is None:
                self._standing.note_health(target.endpoint, is_healthy=True)
            else:
                question = Question(target.endpoint.provider, target.provider.origin, head, spec)
                wanted.setdefault(question, []).append(target)
        for question in [question for question in self._running if question not in wanted]:
            self._running.pop(question).task.cancel()
        for question, served in wanted.items():
            check = self._running.get(question)
            if check is None:
                check = self._running[question] = _Check()
                check.task = self._tasks.start(self._keep(question, check), f"health of {question.provider}")
            check.targets = served
            check.origin = question.origin

    async def _keep(self, question: Question, check: "_Check") -> None:
        """Ask for ever."""
        await asyncio.sleep(self._rng.random() * FIRST_WITHIN_S)
        while True:
            status = await self._ask(question, check)
            self._judge(question, check, status)
            await asyncio.sleep(question.spec.every_s * (1 + SPREAD * (2 * self._rng.random() - 1)))

    async def _ask(self, question: Question, check: "_Check") -> int | None:
        """Give the status of an answer, None where there is none in time."""
        timeout_s = question.spec.timeout_s
        loop = asyncio.get_running_loop()
        call = WireRequest(
            origin=check.origin or question.origin,
            head=question.head,
            body=b"",
            timeouts=Timeouts(timeout_s, timeout_s, timeout_s, timeout_s, timeout_s),
            is_stream=False,
            total_at=loop.time() + timeout_s,
            write_timeout_s=timeout_s,
        )
        status = None
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._transport.send(call)
                status = answer.status
                try:
                    document = Document(answer, BODY_LIMIT)
                    answer.attach(document)
                    await document.read()
                finally:
                    answer.close()
        except (GatewayError, TimeoutError):  # once there is a status, the rest does not matter
            pass
        return status

    def _judge(self, question: Question, check: "_Check", status: int | None) -> None:
        is_well = status is not None and status < 500
        check.failures = 0 if is_well else check.failures + 1
        for target in check.targets:
            if is_well:
                self._standing.note_health(target.endpoint, is_healthy=True)
            elif check.failures >= question.spec.failures:
                self._standing.note_health(target.endpoint, is_healthy=False)
        first = check.targets[0]
        if status in (401, 403):
            self._directory.refuse_key(first.endpoint, first.other_keys)
        elif status is not None and status < 300 and not question.spec.path:
            self._standing.accept_key(first.endpoint)


class _Check:
    """One question that is asked for ever, and whom its answer concerns."""

    __slots__ = ("failures", "origin", "targets", "task")

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.origin: Origin | None = None  # as of the last reload: its TLS context is made anew
        self.targets: list[Target] = []
        self.task: asyncio.Task[None]
