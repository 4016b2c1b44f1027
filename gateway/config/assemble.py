"""Values that were found right, as a `Spec`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.config.files import absolute
from gateway.config.listeners import admin_listener, data_listeners
from gateway.config.nodes import Node, place_of
from gateway.config.spec import (
    AdminSpec,
    BreakerSpec,
    CheckSpec,
    Clock,
    DrainSpec,
    KeepaliveSpec,
    LimitsSpec,
    LogSpec,
    ModelSpec,
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

DEFAULT_TIMEOUT: Mapping[Clock, float | None] = {
    "connect": 2.0,
    "first_token": 20.0,
    "answer": 300.0,
    "idle": 30.0,
    "total": 600.0,
}

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
            name: PoolSpec(name, tuple(given["members"]), given.get("then"), _policy(given))
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
                _policy(given),
                place_of(root, ("routes", index)),
            )
            for index, given in enumerate(values["routes"])
        ),
        tenants={name: _tenant(name, given) for name, given in values.get("tenants", {}).items()},
        log=LogSpec(**values.get("observe", {}).get("log", {})),
        checks=tuple(
            CheckSpec(given["name"], given["given"], given["expect"], place_of(root, ("checks", index)))
            for index, given in enumerate(values.get("checks", ()))
        ),
        digest=digest,
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
        limits=LimitsSpec(**_with_seconds(limits, "head_timeout", "body_timeout", "write_timeout")),
    )


def _with_seconds(given: Values, *durations: str) -> dict[str, Any]:
    """Give settings under their names in the spec, where durations end in `_s`."""
    return {f"{key}_s" if key in durations else key: value for key, value in given.items()}


def _provider(name: str, given: Values, kinds: Mapping[str, ProviderKind]) -> ProviderSpec:
    kind = kinds[given["kind"]]
    key = given.get("key")
    return ProviderSpec(
        name=name,
        kind=kind.name,
        url="" if kind.is_child else str(given.get("url") or kind.default_url),
        key=key or None,
        is_on=key is None or bool(key),
        auth=given.get("auth", "bearer"),
        headers=given.get("headers", {}),
        proxy=given.get("proxy"),
        tls=given.get("tls"),
        settings={key: given[key] for key in kind.settings if key in given},
        policy=_policy(given),
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
        policy=_policy(given),
    )


def _tenant(name: str, given: Values) -> TenantSpec:
    return TenantSpec(name, tuple(given["keys"]), given.get("labels", {}), tuple(given.get("models", ("*",))))


def _policy(given: Values) -> Policy:
    """Give what one level says; `none` as a whole switches every clock off."""
    timeout = given.get("timeout", {})
    return Policy(
        timeout=dict.fromkeys(DEFAULT_TIMEOUT) if timeout == "none" else timeout,
        breaker=_breaker(given.get("breaker", "none")),
        keepalive=_keepalive(given.get("keepalive", "none")),
        given=tuple(key for key in ("breaker", "keepalive") if key in given),
    )


def _defaults(given: Values) -> Policy:
    """Give `defaults` over what is built in."""
    said = _policy({"breaker": {}, "keepalive": {}, **given})
    return Policy({**DEFAULT_TIMEOUT, **said.timeout}, said.breaker, said.keepalive, said.given)


def _breaker(given: Any) -> BreakerSpec | None:
    return None if given == "none" else BreakerSpec(**_with_seconds(given, "recovery"))


def _keepalive(given: Any) -> KeepaliveSpec | None:
    return None if given == "none" else KeepaliveSpec(**_with_seconds(given, "every"))
