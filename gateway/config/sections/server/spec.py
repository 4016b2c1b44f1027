"""What `server` holds. Durations are seconds, sizes bytes."""

from dataclasses import dataclass
from typing import Final, Literal

from gateway.config.address import Listen
from gateway.core.secret import Secret

DATA_ADDRESS: Final = Listen("127.0.0.1", 8000)
ADMIN_ADDRESS: Final = Listen("127.0.0.1", 9000)


@dataclass(frozen=True, slots=True)
class AdminSpec:
    listen: Listen = ADMIN_ADDRESS
    key: Secret | None = None  # None: made at start


@dataclass(frozen=True, slots=True)
class ServerLimitsSpec:
    """The bounds of one request or response, in bytes and seconds."""

    body: int = 32 * 2**20
    upload: int = 512 * 2**20  # a body that is passed through
    head_timeout_s: float = 5.0
    body_timeout_s: float = 30.0
    answer: int = 64 * 2**20  # an unstreamed answer
    event: int = 8 * 2**20  # one event of a stream
    write_timeout_s: float = 60.0  # a client that reads nothing for so long is disconnected
    bodies: int = 256 * 2**20  # of one worker: all bodies that it holds
    names: int = 50_000  # in all objects of a body
    values: int = 320_000  # of a body
    in_flight: int = 4096  # of one worker
    loop_lag_s: float | None = 2.0  # a worker whose event loop is later than this takes no new requests


@dataclass(frozen=True, slots=True)
class DrainSpec:
    grace_s: float = 0.0
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """Where and how to listen. Static but for certificates, `limits`, `drain`, `watch` and `allow_without_keys`."""

    listen: tuple[Listen, ...] = (DATA_ADDRESS,)
    admin: AdminSpec = AdminSpec()
    allow_without_keys: Literal["loopback", "everyone"] = "loopback"
    watch: bool = False
    cors: tuple[str, ...] = ()  # origins as browsers send them, or `*`
    workers: int | Literal["auto"] = 1
    drain: DrainSpec = DrainSpec()
    limits: ServerLimitsSpec = ServerLimitsSpec()
