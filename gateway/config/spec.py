"""The configuration as written: checked, its units read, its references known to exist; nothing compiled.

Plain frozen values all the way down, so that `msgspec.msgpack` carries a `Spec` from control to workers.
Durations are seconds, sizes bytes, prices picodollars per token. A clock of `None` is switched off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.faults import RetryWord
from gateway.core.problem import Place
from gateway.core.secret import Secret

NOWHERE = Place()

Clock = Literal["connect", "first_token", "answer", "idle", "total"]
Balance = Literal["in_order", "round_robin", "weighted", "least_inflight", "p2c", "ewma", "cheapest", "consistent_hash"]
Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """A certificate with its chain, and its key, both in PEM: the texts, so that what was checked is what serves."""

    cert: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Listen:
    """One address: TCP (`host`, `port`) or a Unix socket (`path`, which `mode` and `owner` are for)."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: TlsSpec | None = None
    mode: int | None = None  # permissions of the file; None: as the umask has it
    owner: str = ""  # user, user:group or :group

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        is_loopback = self.host.startswith("127.") and self.host.replace(".", "").isdigit()
        return bool(self.path) or self.host in ("localhost", "::1") or is_loopback

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AdminSpec:
    listen: Listen = Listen("127.0.0.1", 9000)
    key: Secret | None = None  # None: made at start


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What one request or answer may cost in bytes and seconds."""

    body: int = 32 * 2**20
    upload: int = 512 * 2**20  # a body that is passed through
    head_timeout_s: float = 5.0
    body_timeout_s: float = 30.0
    answer: int = 64 * 2**20  # an unstreamed answer
    event: int = 8 * 2**20  # one event of a stream
    write_timeout_s: float = 60.0  # a client that takes nothing for so long is cut
    in_flight: int = 4096  # of one worker
    loop_lag_s: float | None = 2.0  # an event loop that is later than this takes no new requests


@dataclass(frozen=True, slots=True)
class DrainSpec:
    grace_s: float = 0.0
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """Where and how to listen. Static but for certificates, `limits`, `drain`, `watch` and `allow_without_keys`."""

    listen: tuple[Listen, ...] = (Listen("127.0.0.1", 8000),)
    admin: AdminSpec = AdminSpec()
    allow_without_keys: Literal["loopback", "everyone"] = "loopback"
    watch: bool = False
    cors: tuple[str, ...] = ()  # origins as browsers send them, or `*`
    workers: int | Literal["auto"] = 1
    drain: DrainSpec = DrainSpec()
    limits: LimitsSpec = LimitsSpec()


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    """When an endpoint is left alone: after `failures` in a row, for `recovery_s`, until `successes` probes in a row."""

    failures: int = 5
    recovery_s: float = 30.0
    successes: int = 3
    slow_start_s: float = 10.0  # after its recovery an endpoint's share of a spread pool grows to the full over so long


@dataclass(frozen=True, slots=True)
class KeepaliveSpec:
    """Comments sent while a stream is silent; `early` sends them before the first content too (and so commits the 200)."""

    every_s: float = 15.0
    early: bool = False


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """Further attempts within one pool: at most `attempts` in all, for faults that `when` names.

    `budget`: attempts beyond the first, as a share of the pool's requests. `retry_after_cap_s`: the longest wait that a
    provider may ask for and get. Pauses before the same endpoint is asked again grow from `backoff_s` to `backoff_cap_s`.
    """

    attempts: int = 3
    when: tuple[RetryWord, ...] = ("connect", "first_token", "rate_limited", "server_error")
    retry_after_cap_s: float = 20.0
    budget: float = 0.2
    backoff_s: float = 0.1
    backoff_cap_s: float = 2.0


@dataclass(frozen=True, slots=True)
class HedgeSpec:
    """A second endpoint is asked where the first is silent for longer than `quantile` of its first tokens took.

    At most `share` of a pool's requests are hedged; before there is evidence `after_s` is waited.
    """

    quantile: float = 0.95
    share: float = 0.05
    after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """Who waits while a pool is full: at most `max` requests, each for `wait_s` at most, in turns by `fair_by`."""

    max: int = 100
    wait_s: float = 2.0
    fair_by: Literal["tenant", "key", "none"] = "tenant"


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """Small calls for embeddings are gathered into one of at most `max` inputs, for `wait_s` at most since the first."""

    max: int = 64
    wait_s: float = 0.01


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """An endpoint's provider is asked for `path` ("": what its kind knows) every `every_s`; `failures` in a row: unhealthy."""

    path: str = ""
    every_s: float = 30.0
    timeout_s: float = 5.0
    failures: int = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that may stand at several levels; here only what one level says.

    Merged defaults < provider < model < pool < route by `resilience.policies`, field by field. `given` holds those of
    `breaker`, `keepalive`, `retry`, `batch`, `hedge` and `queue` that this level names, each as the fields of its spec that it
    names, or None for `none`; and of `drop_params`, `max_inflight`, `balance`, `hash_by`, `sticky` and `all_open` as they are.
    """

    timeout: Mapping[Clock, float | None] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """An HTTP proxy on the way to a provider. `credentials`: user:password."""

    host: str
    port: int
    credentials: Secret | None = None


@dataclass(frozen=True, slots=True)
class ClientTlsSpec:
    """Whom TLS to a provider trusts (`ca`, "" for the system's authorities) and who asks (`cert`, `key`); texts in PEM."""

    ca: str = ""
    cert: str = ""
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    name: str
    kind: str
    url: str = ""  # without a trailing slash; empty for kinds whose server the gateway starts
    key: Secret | None = None
    urls: tuple[str, ...] = ()  # every URL and every key where there are several, `url` and `key` being the first:
    keys: tuple[Secret, ...] = ()  # each URL with each key is an endpoint of its own
    is_on: bool = True  # False: its keys are empty
    auth: Literal["bearer", "x-api-key", "api-key"] = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)  # sent with every request
    proxy: ProxySpec | None = None  # the file's, else the environment's
    tls: ClientTlsSpec | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # the kind's own, units already read
    max_inflight: int | None = None  # requests at the same time, over all its models
    health: HealthSpec | None = None
    policy: Policy = Policy()


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """Picodollars (1e-12 USD) per token: USD per million tokens × 10^6, exactly. A class without a price costs what `input` or `output` does."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of one provider. A `name` with `*` is a family: every name that fits is sent on as it was asked for."""

    name: str
    provider: str
    id: str  # what the provider calls it; for a family the pattern itself
    price: PriceSpec
    quality: float  # 0 to 1
    latency_s: float | None = None
    context: int | None = None  # tokens
    max_output: int | None = None  # tokens
    settings: Mapping[str, Any] = field(default_factory=dict)  # the provider kind's own
    max_inflight: int | None = None  # requests at the same time, at each of its endpoints
    policy: Policy = Policy()

    @property
    def is_family(self) -> bool:
        return "*" in self.name


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One model in a pool. Those of a lower `priority` number are asked first, the others only where none of them can be."""

    model: str
    weight: int = 1  # its share where the balancer goes by weights
    priority: int = 1
    max_inflight: int | None = None  # requests at the same time, at each of its endpoints


@dataclass(frozen=True, slots=True)
class PoolSpec:
    name: str
    members: tuple[MemberSpec, ...]  # in order of preference
    then: str | None = None  # pool or model asked when no member answers
    policy: Policy = Policy()


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """First route whose `match` and `when` hold wins. `to` is `requested`, or the name of a pool or model."""

    name: str
    match: tuple[str, ...]  # names and globs
    to: str
    when: str | None = None  # CEL, names of `let` not yet put in
    policy: Policy = Policy()
    place: Place = NOWHERE


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class PathRouteSpec:
    """A route for paths that the gateway does not serve itself: they are passed through to `provider`. The first that fits wins."""

    name: str
    paths: tuple[str, ...]  # as they are, or with * for any text, slashes included
    provider: str
    methods: tuple[Method, ...] = ("GET", "POST", "DELETE")
    when: str | None = None
    policy: Policy = Policy()
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class TenantSpec:
    name: str
    keys: tuple[str, ...]  # lower-case hex SHA-256, without the `sha256:` prefix
    labels: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)  # names and globs that its keys may ask for
    priority: Priority = "normal"  # in queues: who of a higher one waits is served first
    weight: int = 1  # in queues: its share beside others of the same priority


@dataclass(frozen=True, slots=True)
class LogSpec:
    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """`given` a request, `expect` this of the routing. Keys of `given`: model, tokens, max_tokens, tools, images, stream,
    temperature, path, headers, tenant, hour, weekday. Keys of `expect`: route, pool, model, none (true: no route)."""

    name: str
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Spec:
    """One whole configuration. Mappings are in the order of the file."""

    server: ServerSpec
    state_dir: str  # absolute
    providers: Mapping[str, ProviderSpec]
    models: Mapping[str, ModelSpec]
    pools: Mapping[str, PoolSpec]
    defaults: Policy
    lets: Mapping[str, str]
    routes: tuple[RouteSpec, ...]
    tenants: Mapping[str, TenantSpec]
    log: LogSpec
    checks: tuple[CheckSpec, ...]
    digest: str  # SHA-256 over the files as read
    path_routes: tuple[PathRouteSpec, ...] = ()
