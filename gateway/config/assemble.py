"""Values that were found right, as a `Spec`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.config.files import absolute
from gateway.config.levels import LEVELS
from gateway.config.listeners import admin_listener, data_listeners
from gateway.config.nodes import Node, place_of
from gateway.config.spec import (
    AdminSpec,
    CheckSpec,
    Clock,
    DrainSpec,
    HealthSpec,
    LimitsSpec,
    LogSpec,
    MemberSpec,
    ModelSpec,
    PathRouteSpec,
    Policy,
    PoolSpec,
    PriceSpec,
    ProviderSpec,
    RouteSpec,
    ServerSpec,
    Spec,
    TenantSpec,
)
from gateway.core.kinds import ProviderKind
from gateway.core.problem import Place

DEFAULT_TIMEOUT: Mapping[Clock, float | None] = {
    "connect": 2.0,
    "first_token": 20.0,
    "answer": 300.0,
    "idle": 30.0,
    "total": 600.0,
}

_DURATIONS: Mapping[str, tuple[str, ...]] = {
    "breaker": ("recovery", "slow_start"),
    "keepalive": ("every",),
    "retry": ("retry_after_cap", "backoff", "backoff_cap"),
    "batch": ("wait",),
    "hedge": ("after",),
    "queue": ("wait",),
}
"""The settings of several levels that are mappings, with those in them that end in `_s` in the spec."""

Values = Mapping[str, Any]


def assemble(values: Values, root: Node, directory: Path, kinds: Mapping[str, ProviderKind], digest: str) -> Spec:
    """Give the configuration; relative paths in it are taken from `directory`."""
    providers = {name: _provider(name, given, kinds) for name, given in values["providers"].items()}
    return Spec(
        server=_server(values.get("server", {}), directory),
        state_dir=str(absolute(directory / values.get("state", {}).get("dir", ".gateway"))),
        providers=providers,
        models={
            name: _model(name, given, kinds[providers[given["provider"]].kind])
            for name, given in values["models"].items()
        },
        pools={
            name: PoolSpec(name, tuple(map(_member, given["members"])), given.get("then"), _policy(given, "pool"))
            for name, given in values.get("pools", {}).items()
        },
        defaults=_defaults(values.get("defaults", {})),
        lets=dict(values.get("let", {})),
        routes=tuple(
            RouteSpec(
                given["name"],
                tuple(given["match"]),
                given["to"],
                given.get("when"),
                _policy(given, "route"),
                place_of(root, ("routes", index)),
            )
            for index, given in enumerate(values["routes"])
            if "match" in given
        ),
        tenants={name: _tenant(name, given) for name, given in values.get("tenants", {}).items()},
        log=LogSpec(**values.get("observe", {}).get("log", {})),
        checks=tuple(
            CheckSpec(given["name"], given["given"], given["expect"], place_of(root, ("checks", index)))
            for index, given in enumerate(values.get("checks", ()))
        ),
        digest=digest,
        path_routes=tuple(
            _path_route(given, place_of(root, ("routes", index)))
            for index, given in enumerate(values["routes"])
            if "paths" in given
        ),
    )


def _server(given: Values, directory: Path) -> ServerSpec:
    default = ServerSpec()
    admin, limits, drain = given.get("admin", {}), given.get("limits", {}), given.get("drain", {})
    return ServerSpec(
        listen=data_listeners(given, directory),
        admin=AdminSpec(admin_listener(given, directory), admin.get("key") or None),
        allow_without_keys=given.get("allow_without_keys", default.allow_without_keys),
        watch=given.get("watch", default.watch),
        cors=tuple(given.get("cors", default.cors)),
        workers=given.get("workers", default.workers),
        drain=DrainSpec(**_with_seconds(drain, "grace", "deadline")),
        limits=LimitsSpec(**_with_seconds(limits, "head_timeout", "body_timeout", "write_timeout", "loop_lag")),
    )


def _with_seconds(given: Values, *durations: str) -> dict[str, Any]:
    """Give settings under their names in the spec, where durations end in `_s`."""
    return {f"{key}_s" if key in durations else key: value for key, value in given.items()}


def _provider(name: str, given: Values, kinds: Mapping[str, ProviderKind]) -> ProviderSpec:
    kind = kinds[given["kind"]]
    urls = () if kind.is_managed else tuple(given.get("urls") or [given.get("url") or str(kind.default_url)])
    written = given.get("keys") or [given["key"]] if "key" in given or "keys" in given else []
    keys = tuple(dict.fromkeys(key for key in written if key))
    health = given.get("health", "none")
    return ProviderSpec(
        name=name,
        kind=kind.name,
        url=urls[0] if urls else "",
        key=keys[0] if keys else None,
        urls=urls,
        keys=keys,
        is_on=bool(keys) or not written,
        auth=given.get("auth", kind.default_auth),
        headers=given.get("headers", {}),
        proxy=given.get("proxy"),
        tls=given.get("tls"),
        settings={key: given[key] for key in kind.settings if key in given},
        max_inflight=given.get("max_inflight"),
        health=None if health == "none" else HealthSpec(**_with_seconds(health, "every", "timeout")),
        policy=_policy(given, "provider"),
    )


def _model(name: str, given: Values, kind: ProviderKind) -> ModelSpec:
    return ModelSpec(
        name=name,
        provider=given["provider"],
        id=given.get("id", name),
        price=PriceSpec(**given["price"]),
        quality=float(given.get("quality", 0.5)),
        latency_s=given.get("latency"),
        context=given.get("context"),
        max_output=given.get("max_output"),
        settings={key: given[key] for key in kind.model_settings if key in given},
        max_inflight=given.get("max_inflight"),
        policy=_policy(given, "model"),
    )


def _member(given: Any) -> MemberSpec:
    return MemberSpec(given) if isinstance(given, str) else MemberSpec(**given)


def _path_route(given: Values, place: Place) -> PathRouteSpec:
    methods = tuple(given.get("methods", PathRouteSpec.__dataclass_fields__["methods"].default))
    policy = _policy(given, "route")
    return PathRouteSpec(
        given["name"], tuple(given["paths"]), given["provider"], methods, given.get("when"), policy, place
    )


def _tenant(name: str, given: Values) -> TenantSpec:
    return TenantSpec(
        name=name,
        keys=tuple(given["keys"]),
        labels=given.get("labels", {}),
        models=tuple(given.get("models", ("*",))),
        priority=given.get("priority", "normal"),
        weight=given.get("weight", 1),
    )


def _policy(given: Values, level: str) -> Policy:
    """Give what one level says; `none` as a whole switches every clock off."""
    timeout = given.get("timeout", {})
    return Policy(
        timeout=dict.fromkeys(DEFAULT_TIMEOUT) if timeout == "none" else timeout,
        given={
            setting: _whole(setting, given[setting])
            for setting in LEVELS[level]
            if setting in given and setting != "timeout"
        },
    )


def _defaults(given: Values) -> Policy:
    """Give `defaults`, their clocks over those that are built in."""
    said = _policy(given, "defaults")
    return replace(said, timeout={**DEFAULT_TIMEOUT, **said.timeout})


def _whole(setting: str, value: Any) -> Any:
    """Give a setting under the names of its spec; None for a mapping's `none`."""
    durations = _DURATIONS.get(setting)
    if durations is None:
        return value
    return None if value == "none" else _with_seconds(value, *durations)
