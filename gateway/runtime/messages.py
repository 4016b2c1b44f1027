"""The messages that control and a worker exchange over the bus (`bus.py`), tagged by their type.

Control asks, and the worker answers every question with the same `id`, whatever else it is doing. Answers may come in
another order than their questions: a worker that compiles a configuration still answers `AskHealth`. Prepare, Activate
and Discard take effect in the order in which they were sent (`config_changes.py`). All other messages go one way.

| control → worker | worker → control |
|---|---|
| Start | Ready, once it serves |
| Prepare | Prepared |
| Activate | Activated |
| AskMetrics | Metrics |
| AskHealth | Health |
| AskEndpoints | Endpoints |
| Drain | Drained |
| Accept, Discard, ChildState, EndpointEvent, Stop | LifeSign, EndpointEvent |
"""

from typing import Literal

from msgspec import Struct

ChildCondition = Literal["warming", "up", "down"]


class EndpointEvent(Struct, frozen=True, tag="endpoint_event"):
    """What one worker has learned about an endpoint, for all others: its breaker has opened, or its key was refused.

    `identity` stands for provider, model, URL and key, whatever a configuration calls them. The event holds for `seconds`.
    """

    identity: str
    kind: Literal["opened", "key_refused"]
    seconds: float


class Start(Struct, frozen=True, tag="start"):
    """The first configuration of the worker with this `number`, one of `workers`, which share limits such as `max_inflight`.

    `entries`: for each listening socket that came before, the entry of `server.listen` that it was opened for; `accept`:
    the indexes of those to accept on. `children`: provider → its child's condition. `drained`: as in `Drain`. `events`:
    those of other workers that still hold.
    """

    number: int
    workers: int
    generation: int
    spec: bytes
    addresses: dict[str, str]
    children: dict[str, ChildCondition]
    entries: tuple[int, ...]
    accept: tuple[int, ...]
    drained: tuple[str, ...] = ()
    events: tuple[EndpointEvent, ...] = ()


class Prepare(Struct, frozen=True, tag="prepare"):
    """Compile this configuration beside the one in force; nothing changes yet."""

    generation: int
    spec: bytes
    addresses: dict[str, str]
    id: int = 0


class Activate(Struct, frozen=True, tag="activate"):
    """Serve new requests from what was prepared as `generation`."""

    generation: int
    id: int = 0


class Discard(Struct, frozen=True, tag="discard"):
    """Forget what was prepared as `generation`."""

    generation: int


class AskMetrics(Struct, frozen=True, tag="ask_metrics"):
    id: int = 0


class AskHealth(Struct, frozen=True, tag="ask_health"):
    id: int = 0


class AskEndpoints(Struct, frozen=True, tag="ask_endpoints"):
    id: int = 0


class Drain(Struct, frozen=True, tag="drain"):
    """Send no new requests to the endpoints of these names, and only to these. `reset`: names of endpoints whose key,
    rest and health count as good again."""

    names: tuple[str, ...]
    reset: tuple[str, ...] = ()
    id: int = 0


class Accept(Struct, frozen=True, tag="accept"):
    """Accept on these listening sockets, given by their indexes, and on no others."""

    listeners: tuple[int, ...]


class ChildState(Struct, frozen=True, tag="child"):
    """The server that the gateway runs for `provider` changed its condition."""

    provider: str
    condition: ChildCondition


class Stop(Struct, frozen=True, tag="stop"):
    """Take requests for `grace_s` more, finish running ones until `deadline_s` (both from now), then end."""

    grace_s: float
    deadline_s: float


class Ready(Struct, frozen=True, tag="ready"):
    """The worker serves `generation`."""

    generation: int


class Prepared(Struct, frozen=True, tag="prepared"):
    """`problem` is empty where the configuration compiled."""

    id: int
    problem: str


class Activated(Struct, frozen=True, tag="activated"):
    """`generation`: what the worker serves now. Another one than the question's: that one was not prepared any more, for
    another message had replaced or discarded it, and has to be prepared again."""

    id: int
    generation: int


class Metrics(Struct, frozen=True, tag="metrics"):
    """`snapshot` is in the format of `observability.metrics`. Also sent without a question, with the id 0, so that a
    killed worker loses its last seconds only."""

    id: int
    snapshot: bytes


class Health(Struct, frozen=True, tag="health"):
    """`circuits`: endpoint → closed, open or half_open. `out`: endpoint → what else keeps it out of rotation."""

    id: int
    circuits: dict[str, str]
    in_flight: int
    out: dict[str, str] = {}


class Mean(Struct, frozen=True):
    """A mean, and the number of recent observations that it rests on."""

    value: float = 0.0
    evidence: float = 0.0


class EndpointStatus(Struct, frozen=True):
    """One endpoint as one worker sees it."""

    endpoint: str
    provider: str
    model: str
    pools: tuple[str, ...]
    state: str
    retry_in_s: float
    in_flight: int
    first_token_s: Mean
    answer_s: Mean
    error_rate: Mean
    is_drained: bool
    is_healthy: bool
    key_refused: bool
    resting_s: float


class PoolStatus(Struct, frozen=True):
    """One pool as one worker sees it; `max_inflight` is this worker's share, None without a limit."""

    pool: str
    in_flight: int
    waiting: int
    max_inflight: int | None


class Endpoints(Struct, frozen=True, tag="endpoints"):
    id: int
    endpoints: tuple[EndpointStatus, ...]
    pools: tuple[PoolStatus, ...]


class Drained(Struct, frozen=True, tag="drained"):
    id: int


class LifeSign(Struct, frozen=True, tag="alive"):
    """Sent every second: the worker's loop runs."""


Question = Prepare | Activate | AskMetrics | AskHealth | AskEndpoints | Drain
ToWorker = Question | Start | Accept | Discard | ChildState | EndpointEvent | Stop
Answer = Prepared | Activated | Metrics | Health | Endpoints | Drained
ToControl = Answer | Ready | EndpointEvent | LifeSign
