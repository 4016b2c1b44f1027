"""The five timeouts of a request, merged from the levels at which they may be set."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config import spec


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each wait of a request may take, in seconds; None = no limit. The defaults hold where no level says otherwise."""

    connect_s: float | None = 2.0  # DNS, TCP and TLS of one attempt
    first_token_s: float | None = 20.0  # streamed: from the request sent to the first content
    answer_s: float | None = 300.0  # unstreamed: from the request sent to the first byte of the body
    idle_s: float | None = 30.0  # between two events, or two pieces of a body
    total_s: float | None = 600.0  # from the arrival of the request to the end of its response


def merge_timeouts(*levels: Mapping[spec.Clock, float | None]) -> Timeouts:
    """Return the timeouts that hold under `levels`, the most general first: for each timeout the last level that names it wins.

    A level names a timeout as the configuration does (`first_token`); the value None switches it off.
    """
    merged: dict[spec.Clock, float | None] = {}
    for level in levels:
        merged.update(level)
    return Timeouts(**{f"{name}_s": value for name, value in merged.items()})
