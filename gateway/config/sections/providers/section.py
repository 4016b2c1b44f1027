"""The section `providers`."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config.section import Kinds, ReadContext, Section, Values
from gateway.config.sections.providers.checks import check_providers
from gateway.config.sections.providers.outbound import read_outbound
from gateway.config.sections.providers.schema import providers_schema, refusal
from gateway.config.sections.providers.spec import ProviderSpec
from gateway.config.settings import read_policy
from gateway.config.settings.health import HEALTH, HealthSpec


def _read(context: ReadContext) -> Mapping[str, Any]:
    given = context.values["providers"]
    return {"providers": {name: _provider(name, settings, context.kinds) for name, settings in given.items()}}


def _provider(name: str, given: Values, kinds: Kinds) -> ProviderSpec:
    kind = kinds[given["kind"]]
    urls = () if kind.is_managed else tuple(given.get("urls") or [given.get("url") or str(kind.default_url)])
    written = given.get("keys") or [given["key"]] if "key" in given or "keys" in given else []
    keys = tuple(dict.fromkeys(key for key in written if key))
    health = HEALTH.read(given.get("health", "none"))
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
        health=None if health is None else HealthSpec(**health),
        policy=read_policy(given, "provider"),
    )


PROVIDERS: Final = Section(
    key="providers",
    schema=providers_schema,
    read=_read,
    checks=(check_providers,),
    files=read_outbound,
    refusal=refusal,
    is_required=True,
    is_includable=True,
)
