"""The section `server`."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config.address import Listen
from gateway.config.section import ReadContext, Section, with_seconds
from gateway.config.sections.server.listeners import (
    admin_listener,
    check_listeners,
    data_listeners,
    read_certificates,
)
from gateway.config.sections.server.schema import server_schema
from gateway.config.sections.server.spec import AdminSpec, DrainSpec, ServerLimitsSpec, ServerSpec


def _read(context: ReadContext) -> Mapping[str, Any]:
    given, default = context.values.get("server", {}), ServerSpec()
    admin = AdminSpec(admin_listener(given, context.directory), given.get("admin", {}).get("key") or None)
    server = ServerSpec(
        listen=data_listeners(given, context.directory),
        admin=admin,
        allow_without_keys=given.get("allow_without_keys", default.allow_without_keys),
        watch=given.get("watch", default.watch),
        cors=tuple(given.get("cors", default.cors)),
        workers=given.get("workers", default.workers),
        drain=DrainSpec(**with_seconds(given.get("drain", {}), DrainSpec)),
        limits=ServerLimitsSpec(**with_seconds(given.get("limits", {}), ServerLimitsSpec)),
    )
    return {"server": server}


def _fixed(*listeners: Listen) -> list[tuple[object, ...]]:
    """Return the static part of listeners: all but their certificates, which may change while both sides have one."""
    return [(one.host, one.port, one.path, one.mode, one.owner, one.tls is not None) for one in listeners]


SERVER: Final = Section(
    key="server",
    schema=server_schema,
    read=_read,
    checks=(check_listeners,),
    files=read_certificates,
    static={
        "server.listen": lambda spec: _fixed(*spec.server.listen),
        "server.admin": lambda spec: (_fixed(spec.server.admin.listen), spec.server.admin.key),
        "server.cors": lambda spec: spec.server.cors,
        "server.workers": lambda spec: spec.server.workers,
    },
)
