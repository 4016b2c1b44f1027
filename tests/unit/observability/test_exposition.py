"""The page that Prometheus reads, held to the format by a parser that forgives nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observability.exposition import escape, render
from gateway.observability.families import FAMILIES
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Page:
    help: dict[str, str] = field(default_factory=dict)
    type: dict[str, str] = field(default_factory=dict)
    samples: dict[Key, float] = field(default_factory=dict)


def parse(page: bytes) -> Page:
    """Read exposition format 0.0.4: HELP, TYPE, then the samples of that family and of no other, none twice."""
    text = page.decode()
    assert text.endswith("\n")
    parsed, family = Page(), ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family, help_text = line.removeprefix("# HELP ").split(" ", 1)
            assert family not in parsed.help
            parsed.help[family] = unescape(help_text)
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name == family and name not in parsed.type
            assert kind in ("counter", "gauge", "histogram")
            parsed.type[name] = kind
        else:
            key, value = sample(line)
            suffixes = ("_bucket", "_count", "_sum") if parsed.type[family] == "histogram" else ("",)
            assert key[0] in [family + suffix for suffix in suffixes]
            assert key not in parsed.samples
            parsed.samples[key] = value
    return parsed


def sample(line: str) -> tuple[Key, float]:
    name = NAME.match(line)
    assert name is not None, line
    at, labels = name.end(), []
    if line[at] == "{":
        at += 1
        while line[at] != "}":
            label = LABEL.match(line, at)
            assert label is not None, line
            labels.append((label[1], unescape(label[2])))
            at = label.end()
            if line[at] == ",":
                at += 1
        at += 1
    assert line[at] == " ", line
    assert len({label for label, _ in labels}) == len(labels)
    return (name[0], tuple(labels)), float(line[at + 1 :])


def unescape(text: str) -> str:
    return re.sub(r"\\.", lambda found: ESCAPES[found[0]], text)


def histograms(page: Page) -> Iterator[tuple[list[tuple[float, float]], float]]:
    """Give the buckets and the count of every histogram of the page."""
    buckets: dict[Key, list[tuple[float, float]]] = {}
    for (name, labels), value in page.samples.items():
        if name.endswith("_bucket"):
            rest = tuple(pair for pair in labels if pair[0] != "le")
            bound = float(dict(labels)["le"])
            buckets.setdefault((name.removesuffix("_bucket"), rest), []).append((bound, value))
    for (name, labels), found in buckets.items():
        yield found, page.samples[name + "_count", labels]


def page_of(metrics: Metrics) -> Page:
    merged = Merged()
    merged.update("one", metrics.snapshot())
    return parse(render(merged))


def test_every_family_has_help_and_type_before_any_process_reported() -> None:
    page = parse(render(Merged()))
    assert page.help == {family.name: family.help for family in FAMILIES.values()}
    assert page.type == {family.name: family.kind for family in FAMILIES.values()}


def test_every_unlabelled_family_has_a_sample_from_the_start() -> None:
    page = parse(render(Merged()))
    for family in FAMILIES.values():
        if not family.labels:
            name = family.name + ("_count" if family.kind == "histogram" else "")
            assert page.samples[name, ()] == 0


def test_counted_values_are_shown() -> None:
    metrics = Metrics()
    metrics.requests["gpt-4o", "200"].value += 5
    metrics.cost_picodollars["gpt-4o"].value += 1_250_000_000
    page = page_of(metrics)
    assert page.samples["llm_requests_total", (("model", "gpt-4o"), ("status", "200"))] == 5
    assert page.samples["llm_estimated_cost_dollars_total", (("model", "gpt-4o"),)] == 0.00125


def test_buckets_rise_and_end_in_the_count() -> None:
    metrics = Metrics()
    for seconds in (0.01, 0.1, 0.3, 2.0, 99.0):
        metrics.latency_s["m"].observe(seconds)
    metrics.overhead_s.observe(0.002)
    page = page_of(metrics)
    model = ("model", "m")
    assert page.samples["llm_request_latency_seconds_bucket", (("le", "0.1"), model)] == 2
    assert page.samples["llm_request_latency_seconds_bucket", (("le", "2.5"), model)] == 4
    assert page.samples["llm_request_latency_seconds_sum", (model,)] == pytest.approx(101.41)
    for buckets, count in histograms(page):
        assert buckets == sorted(buckets)
        assert buckets[-1] == (float("inf"), count)


def test_a_crafted_name_forges_no_series() -> None:
    metrics = Metrics()
    name = 'x"} 1\nevil_total{a="b'
    metrics.input_tokens[name].value += 1
    page = page_of(metrics)
    assert page.samples["llm_input_tokens_total", (("model", name),)] == 1
    assert not any(name.startswith("evil") for name, _ in page.samples)


@given(model=st.text(), status=st.text(max_size=5), value=st.integers(0, 2**53))
def test_any_label_value_comes_back_as_it_was(model: str, status: str, value: int) -> None:
    metrics = Metrics()
    metrics.requests[model, status].value = value
    page = page_of(metrics)
    assert page.samples["llm_requests_total", (("model", model), ("status", status))] == value


@given(st.text())
def test_escaped_text_is_one_line_and_comes_back(text: str) -> None:
    assert "\n" not in escape(text)
    assert unescape(escape(text)) == text
