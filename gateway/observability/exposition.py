"""Render the metrics in Prometheus' text format with aioprometheus, whose escaping is corrected here.

aioprometheus 23.12 does not escape label values and help texts: a quote in a model's name would make the whole page
unreadable, a newline could forge a series.
"""

from typing import Final

from aioprometheus.collectors import Collector, Counter, Gauge, Registry
from aioprometheus.collectors import Histogram as HistogramCollector
from aioprometheus.formats.text import TEXT_CONTENT_TYPE, TextFormatter
from aioprometheus.histogram import Histogram as Buckets
from aioprometheus.mypy_types import LabelsType, NumericValueType

from gateway.observability.families import FAMILIES, Family
from gateway.observability.merge import Merged, Numbers

CONTENT_TYPE: Final = TEXT_CONTENT_TYPE


def render(merged: Merged) -> bytes:
    """Return the page that `/metrics` serves: every family with HELP and TYPE, even without samples."""
    registry = Registry()
    for name, samples in merged.samples().items():
        family = FAMILIES[name]
        collector = _collector(family, registry)
        for labels, numbers in samples.items():
            label_values = dict(zip(family.labels, labels, strict=True))
            collector.set_value(label_values, _histogram(family, numbers) if family.kind == "histogram" else numbers[0])
    page: bytes = _EscapingFormatter().marshall(registry)
    return page


class _EscapingFormatter(TextFormatter):
    def _format_line(self, name: str, labels: LabelsType, value: NumericValueType, const_labels: LabelsType) -> str:
        escaped = {label: escape(text).replace('"', '\\"') for label, text in labels.items()}
        return super()._format_line(name, escaped, value, const_labels)


def escape(text: str) -> str:
    """Escape `text` for a HELP line; label values also need their quotes escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _collector(family: Family, registry: Registry) -> Collector:
    kinds: dict[str, type[Collector]] = {"counter": Counter, "gauge": Gauge, "histogram": HistogramCollector}
    return kinds[family.kind](family.name, escape(family.help), registry=registry)


def _histogram(family: Family, numbers: Numbers) -> Buckets:
    *counts, total = numbers
    buckets = Buckets(*family.buckets)
    cumulative = 0
    for bound, count in zip(buckets.buckets, counts, strict=True):
        cumulative += int(count)
        buckets.buckets[bound] = cumulative
    buckets.observations = cumulative
    buckets.sum = total
    return buckets
