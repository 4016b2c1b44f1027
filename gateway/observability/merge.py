"""Merge the metrics of all processes; the control process does this."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.observability.families import FAMILIES, Family
from gateway.observability.metrics import Labels, Samples, worst_breaker

Numbers = Sequence[int | float]

_decoder = msgspec.msgpack.Decoder(Samples)


class Merged:
    """The latest snapshot of every running process, and the counts of ended ones, so that no counter decreases."""

    def __init__(self) -> None:
        self._live: dict[str, Samples] = {}
        self._retired: Samples = {}

    def update(self, worker: str, snapshot: bytes) -> None:
        """Store the latest snapshot of `worker`; the name identifies one process until `retire`."""
        self._live[worker] = _decoder.decode(snapshot)

    def retire(self, worker: str) -> None:
        """Keep the counters and histograms of `worker`, which has ended, and drop its gauges."""
        last = self._live.pop(worker, None)
        if last is None:
            return
        counted = {name: samples for name, samples in last.items() if FAMILIES[name].kind != "gauge"}
        self._retired = _merge([self._retired, counted])

    def samples(self) -> Mapping[str, Mapping[Labels, Numbers]]:
        """Return the merged samples by family; a family without labels always has its one sample."""
        return _merge([self._retired, *self._live.values()])


def _merge(parts: Sequence[Samples]) -> Samples:
    merged: Samples = {}
    for family in FAMILIES.values():
        columns: dict[Labels, list[list[int | float]]] = {}
        for part in parts:
            for labels, numbers in part.get(family.name, {}).items():
                columns.setdefault(labels, []).append(numbers)
        if not family.labels and not columns:
            columns[()] = [[0] * (len(family.buckets) + 2 if family.kind == "histogram" else 1)]
        merged[family.name] = {labels: _combine(family, column) for labels, column in columns.items()}
    return merged


def _combine(family: Family, column: list[list[int | float]]) -> list[int | float]:
    match family.merge:
        case "sum":
            return [sum(numbers) for numbers in zip(*column, strict=True)]
        case "max":
            return [max(numbers) for numbers in zip(*column, strict=True)]
        case "min":
            return [min(numbers) for numbers in zip(*column, strict=True)]
        case "breaker":
            return [worst_breaker(numbers) for numbers in zip(*column, strict=True)]
