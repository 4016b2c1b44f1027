"""What only a restart can change."""

from gateway.config.spec import Listen, Spec


def static_changes(old: Spec, new: Spec) -> tuple[str, ...]:
    """Name the static settings in which two configurations differ; a reload that changes any is refused."""
    differs = {
        "server.listen": _fixed(*old.server.listen) != _fixed(*new.server.listen),
        "server.admin": (
            _fixed(old.server.admin.listen) != _fixed(new.server.admin.listen)
            or old.server.admin.key != new.server.admin.key
        ),
        "server.cors": old.server.cors != new.server.cors,
        "server.workers": old.server.workers != new.server.workers,
        "state": old.state_dir != new.state_dir,
    }
    return tuple(name for name, is_so in differs.items() if is_so)


def _fixed(*listeners: Listen) -> list[tuple[object, ...]]:
    """Give what stays of listeners: all but their certificates, which may change while both sides have one."""
    return [(one.host, one.port, one.path, one.mode, one.owner, one.tls is not None) for one in listeners]
