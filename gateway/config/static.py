"""What only a restart can change."""

from gateway.config.language import SECTIONS
from gateway.config.spec import Spec


def static_changes(old: Spec, new: Spec) -> tuple[str, ...]:
    """Return the names of the static settings in which two configurations differ; a reload that changes any is refused."""
    static = {name: value for section in SECTIONS for name, value in section.static.items()}
    return tuple(name for name, value in static.items() if value(old) != value(new))
