"""What only a restart can change."""

from gateway.config.spec import Spec


def static_changes(old: Spec, new: Spec) -> tuple[str, ...]:
    """Name the static settings in which two configurations differ; a reload that changes any is refused."""
    differs = {
        "server.listen": old.server.listen != new.server.listen,
        "server.admin": old.server.admin != new.server.admin,
        "server.workers": old.server.workers != new.server.workers,
        "state": old.state_dir != new.state_dir,
    }
    return tuple(name for name, is_so in differs.items() if is_so)
