"""What the simulator has seen, in all and by model: the witness of tests that ask what reached the provider, and when."""

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_MODELS = 1000


@dataclass(slots=True)
class Counts:
    """Requests and how they ended. `completed`: played to the script's end, faults included; `aborted`: the client left."""

    requests: int = 0
    active: int = 0
    completed: int = 0
    aborted: int = 0
    bytes: int = 0
    last_abort_ns: int = 0  # monotonic clock of the machine; 0: none yet
    last_request: dict[str, Any] | None = None


@dataclass(slots=True)
class Calls:
    """Calls of one endpoint for one model, the inputs in all of them, and those of the largest."""

    calls: int = 0
    inputs: int = 0
    largest: int = 0


@dataclass(slots=True)
class Stats:
    """Counts in all and by model; the oldest models are forgotten beyond a thousand. `is_recording`: requests are kept."""

    is_recording: bool = False
    total: Counts = field(default_factory=Counts)
    models: dict[str, Counts] = field(default_factory=dict)
    calls: dict[tuple[str, str], Calls] = field(default_factory=dict)  # by path and model

    def record_request(
        self, model: str, headers: Iterable[tuple[bytes, bytes]], body: bytes, path: str, inputs: int = 1
    ) -> tuple[Counts, Counts]:
        """Count a request; gives what to count on: all, and the model's."""
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
        """Give the calls by path and model."""
        rendered: dict[str, dict[str, dict[str, int]]] = {}
        for (path, model), calls in self.calls.items():
            rendered.setdefault(path, {})[model] = asdict(calls)
        return rendered

    def _call(self, path: str, model: str, inputs: int) -> None:
        place = path, model
        if place not in self.calls and len(self.calls) >= MAX_MODELS:
            del self.calls[next(iter(self.calls))]
        calls = self.calls.setdefault(place, Calls())
        calls.calls += 1
        calls.inputs += inputs
        calls.largest = max(calls.largest, inputs)


def _record(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return {"headers": pairs, "body_base64": base64.b64encode(body).decode()}
