"""Statistics of the simulator, in total and by model. Tests read what reached the provider, and when."""

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_MODELS = 1000


@dataclass(slots=True)
class Counts:
    """Requests by outcome. `completed`: played to the end of the script, faults included; `aborted`: the client left."""

    requests: int = 0
    active: int = 0
    completed: int = 0
    aborted: int = 0
    bytes: int = 0
    last_abort_ns: int = 0  # the machine's monotonic clock; 0: none yet
    last_request: dict[str, Any] | None = None


@dataclass(slots=True)
class Calls:
    """Calls of one endpoint for one model: their number, all their inputs, and the inputs of the largest."""

    calls: int = 0
    inputs: int = 0
    largest: int = 0


@dataclass(slots=True)
class Stats:
    """Counts in total and by model; beyond a thousand models the oldest are evicted. `is_recording`: keep the last request."""

    is_recording: bool = False
    total: Counts = field(default_factory=Counts)
    models: dict[str, Counts] = field(default_factory=dict)
    calls: dict[tuple[str, str], Calls] = field(default_factory=dict)  # by path and model

    def record_request(
        self, model: str, headers: Iterable[tuple[bytes, bytes]], body: bytes, path: str, inputs: int = 1
    ) -> tuple[Counts, Counts]:
        """Count a request; return the two counters to update later: the total and the model's."""
        if model not in self.models and len(self.models) >= MAX_MODELS:
            del self.models[next(iter(self.models))]
        counters = self.total, self.models.setdefault(model, Counts())
        for counts in counters:
            counts.requests += 1
            counts.active += 1
        self._call(path, model, inputs)
        if self.is_recording:
            recorded = _record(headers, body)
            for counts in counters:
                counts.last_request = recorded
        return counters

    def calls_by_path(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the calls by path and model."""
        by_path: dict[str, dict[str, dict[str, int]]] = {}
        for (path, model), calls in self.calls.items():
            by_path.setdefault(path, {})[model] = asdict(calls)
        return by_path

    def _call(self, path: str, model: str, inputs: int) -> None:
        key = path, model
        if key not in self.calls and len(self.calls) >= MAX_MODELS:
            del self.calls[next(iter(self.calls))]
        calls = self.calls.setdefault(key, Calls())
        calls.calls += 1
        calls.inputs += inputs
        calls.largest = max(calls.largest, inputs)


def _record(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return {"headers": pairs, "body_base64": base64.b64encode(body).decode()}
