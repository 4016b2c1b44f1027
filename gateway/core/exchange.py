"""One request from arrival to account: the only value on the request path that changes.

| part | written by |
|---|---|
| `principal`, `request`, `decision`, `outcome`, `error` | `lifecycle.serve` |
| `timeline` | its own methods, called where time passes |
| `attempts`, `attempt`, `degraded` | `upstream/` |
| `meter` | the observer of the stream or the relay |
| `status` | the client's side, which alone knows what it has sent |
| `cut` | the worker, when it ends a running request |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NewType

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.faults import Fault
from gateway.core.usage import Usage

RequestId = NewType("RequestId", str)

Outcome = Literal["running", "ok", "failed", "abandoned"]
Wait = Literal["upstream", "queue", "retry", "warming", "client"]
"""What a request may wait for: a provider, a place in a pool, a pause between attempts, a managed server, the client's body."""


@dataclass(slots=True, frozen=True)
class Principal:
    """The tenant and key of a request. Without tenants it is `ANYBODY`. `models`: names and globs that it may request."""

    tenant: str = ""
    key_id: str = ""  # first 8 hex digits of the key's hash
    labels: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)


ANYBODY = Principal()


@dataclass(slots=True, frozen=True)
class Decision:
    """Which way a request goes and why: the value that headers, log and `gateway explain` share. Made when routes are compiled."""

    route: str = ""
    goal: str = ""  # the pool, model or family of models that the route leads to for this name
    pool: str = ""  # the pool that should answer; "" where the goal is off
    reasons: tuple[str, ...] = ()


UNDECIDED: Final = Decision()


@dataclass(slots=True)
class AttemptRecord:
    """One attempt at one endpoint. Times are monotonic seconds, 0.0 = not yet. Live until `outcome` is no longer running."""

    endpoint: str
    started_at: float
    outcome: Outcome = "running"
    code: str | None = None  # of the error
    pool: str = ""
    model: str = ""  # whose price is charged; "" where nothing is
    provider: str = ""
    waited_s: float = 0.0  # before it started: in a queue, for a pause
    first_byte_at: float = 0.0  # the first content of a stream, else the end of the answer
    ended_at: float = 0.0
    status: int = 0  # HTTP status of the provider; 0 = no response came
    fault: Fault | None = None
    usage: Usage | None = None
    cost_picodollars: int = 0
    is_settled: bool = False


SAMPLE_LIMIT: Final = 4096  # bytes of a block


@dataclass(slots=True)
class Meter:
    """What has passed to the client so far, so that a cut stream can still be charged."""

    events: int = 0
    bytes_out: int = 0
    usage: Usage | None = None
    samples: tuple[bytes, ...] = ()  # some blocks of a stream's events; a whole answer, where it came without usage
    sample_at: int = 1  # events, at which the next block is kept
    bytes_in: int = 0  # of a body that is passed through

    def sample(self, block: bytes) -> None:
        """Keep a block of events for an estimate if it is of a usual size; the more have passed, the fewer are kept."""
        self.sample_at = self.events + self.events // 2 + 1
        if len(block) <= SAMPLE_LIMIT:
            self.samples += (block,)


class Timeline:
    """Where the time of a request went, in monotonic seconds; 0.0 = not yet. Only its methods write it.

    What was not spent on a `Wait` is the gateway's own overhead.
    """

    __slots__ = (
        "_now",
        "committed_at",
        "finished_at",
        "first_content_at",
        "last_content_at",
        "received_at",
        "waited_s",
        "waits",
    )

    def __init__(self, now: Callable[[], float], received_at: float | None = None) -> None:
        self._now = now
        self.received_at = now() if received_at is None else received_at
        self.first_content_at = 0.0  # of the response that the client gets, as it came from the provider
        self.last_content_at = 0.0
        self.committed_at = 0.0  # the commit point: first byte to the client
        self.finished_at = 0.0
        self.waited_s = 0.0  # for whatever cause
        self.waits: dict[Wait, float] = {}  # by cause; the rest of `waited_s` was spent waiting for providers

    def add_wait(self, cause: Wait, since: float) -> None:
        """Book the time from `since` until now."""
        waited_s = self._now() - since
        self.waited_s += waited_s
        if cause != "upstream":  # every request waits for a provider: that is the rest
            self.waits[cause] = self.waits.get(cause, 0.0) + waited_s

    def content_began(self, at: float) -> None:
        """Note when the first content of the response that the client gets came."""
        self.first_content_at = at

    def content_ended(self) -> None:
        """Note that the last content has come."""
        self.last_content_at = self._now()

    def commit(self) -> None:
        """Note the commit point: the first byte goes to the client; no retry follows."""
        self.committed_at = self._now()

    def finish(self) -> None:
        """Note the end of the request."""
        self.finished_at = self._now()

    @property
    def duration_s(self) -> float:
        """Seconds from arrival to the end, or to now."""
        return (self.finished_at or self._now()) - self.received_at

    @property
    def overhead_s(self) -> float:
        """Seconds of the duration that the gateway itself spent."""
        overhead_s = (self.finished_at or self._now()) - self.received_at - self.waited_s
        return overhead_s if overhead_s > 0.0 else 0.0


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way; the table at the top says who writes what."""

    id: RequestId
    generation: int
    method: str
    path: str
    headers: Mapping[str, str]  # the client's, read-only, case-insensitive
    timeline: Timeline
    principal: Principal = ANYBODY
    request: ChatRequest | None = None
    decision: Decision = UNDECIDED
    attempts: list[AttemptRecord] = field(default_factory=list)
    attempt: AttemptRecord | None = None  # the one whose response the client gets, until then the last
    degraded: str = ""  # the pool or member that should have answered, and why another one did
    is_replayable: bool = True  # False: the request can't be sent again; disables retry and failover
    meter: Meter = field(default_factory=Meter)
    status: int = 0  # the client's HTTP status; 499 where the client left before one
    outcome: Outcome = "running"
    error: GatewayError | None = None
    cut: GatewayError | None = None  # why the gateway itself ended it early

    @property
    def pool(self) -> str:
        """The pool of `attempt`; "" before the first."""
        return self.attempt.pool if self.attempt is not None else ""

    @property
    def model(self) -> str:
        """The model of `attempt`; "" before the first."""
        return self.attempt.model if self.attempt is not None else ""

    @property
    def provider(self) -> str:
        """The provider of `attempt`; "" before the first."""
        return self.attempt.provider if self.attempt is not None else ""

    @property
    def usage(self) -> Usage | None:
        """What the response used that the client got, once it is settled."""
        return self.attempt.usage if self.attempt is not None else None

    @property
    def cost_picodollars(self) -> int:
        """What all attempts cost together, hedges that lost the race included."""
        cost = 0
        for attempt in self.attempts:
            cost += attempt.cost_picodollars
        return cost
