"""`health`: probes of a provider beside its traffic. Providers alone have it, so no level overrides another."""

from dataclasses import dataclass
from typing import Final

from gateway.config.definitions import mapping_or_none, ref, whole_number
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """A GET of `path` ("": the one that the provider's kind knows) every `every_s`; `failures` in a row: unhealthy."""

    path: str = ""
    every_s: float = 30.0
    timeout_s: float = 5.0
    failures: int = 2


HEALTH: Final = Setting(
    key="health",
    about="Asks it whether it lives, beside its traffic; `none`: never.",
    schema=mapping_or_none(
        {
            "path": {
                "type": "string",
                "pattern": "^/",
                "maxLength": 2048,
                "title": "a path that begins with /",
                "examples": ["/models"],
                "description": "what is asked for, below the host; else what the kind knows, which costs nothing",
            },
            "every": ref("positive_duration", "how often", default="30s"),
            "timeout": ref("positive_duration", "how long an answer may take", default="5s"),
            "failures": whole_number(2, "failures in a row after which it gets no requests"),
        },
        "Asks the provider whether it lives, beside its traffic; `none`: never.",
    ),
    spec=HealthSpec,
)
