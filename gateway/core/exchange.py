"""One request from arrival to account: the only value on the request path that changes.

The line writes it (`pipeline`, `pass_through`), `dispatch` and its attempts do, and the client's side where only that can
know; `report` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NewType

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.usage import Usage

RequestId = NewType("RequestId", str)

Outcome = Literal["running", "ok", "failed", "abandoned"]


@dataclass(slots=True, frozen=True)
class Principal:
    """Who asks. Without tenants everybody is `tenant` "" with no key. `models`: names and globs that may be asked for."""

    tenant: str = ""
    key_id: str = ""  # first 8 hex digits of the key's hash
    labels: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)


ANYBODY = Principal()


@dataclass(slots=True)
class AttemptRecord:
    """One try at one endpoint. `outcome`: ok, failed or abandoned (the client left); `code` is the error's."""

    endpoint: str
    started_at: float
    outcome: Outcome = "running"
    code: str | None = None


SAMPLE_LIMIT: Final = 4096  # bytes of a block


@dataclass(slots=True)
class Meter:
    """What has passed so far, so that a cut stream can still be charged. Times are monotonic seconds, 0.0 = not yet."""

    events: int = 0
    bytes_out: int = 0
    usage: Usage | None = None
    first_event_at: float = 0.0
    last_event_at: float = 0.0
    samples: tuple[bytes, ...] = ()  # some blocks of a stream's events; a whole answer, where it came without usage
    sample_at: int = 1  # events, at which the next block is kept
    bytes_in: int = 0  # of a body that is passed through

    def sample(self, block: bytes) -> None:
        """Keep a block of events for an estimate, where it is of a usual size; the more have passed, the fewer are kept."""
        self.sample_at = self.events + self.events // 2 + 1
        if len(block) <= SAMPLE_LIMIT:
            self.samples += (block,)


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way. `pool`, `model` and `provider` are who was asked last; "" while nobody was."""

    id: RequestId
    received_at: float  # monotonic seconds
    generation: int
    path: str
    headers: Mapping[str, str]  # the client's, read-only, case-insensitive
    principal: Principal = ANYBODY
    request: ChatRequest | None = None
    route: str = ""
    pool: str = ""
    model: str = ""
    provider: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    degraded: str = ""  # the pool, or the member of it, that should have answered, and why another one did
    cost_picodollars: int = 0
    lost_picodollars: int = 0  # of it, for hedged attempts whose answer nobody waited for
    waited_s: float = 0.0  # spent waiting for others, a provider or a client that still sends: the rest is ours
    queued_s: float = 0.0  # of that, in the queue of a pool
    is_spent: bool = False  # what was sent can't be sent again, so nobody else is asked
    committed_at: float = 0.0  # first byte to the client; 0.0 = not yet
    finished_at: float = 0.0
    status: int = 0  # the client's HTTP status; 499 where the client left before one
    outcome: Outcome = "running"
    error: GatewayError | None = None
    cut: GatewayError | None = None  # why the gateway itself ended it early
