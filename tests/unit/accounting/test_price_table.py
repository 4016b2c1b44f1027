"""The table of known models: one source, complete, and true to the figures that routing's documents use."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import gateway

ROOT = Path(gateway.__file__).resolve().parent.parent
SHIPPED = ROOT / "gateway" / "config" / "builtin" / "prices.yaml"
MODELS: dict[str, dict[str, Any]] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["models"]


def test_repository_copy_equals_the_shipped_table() -> None:
    assert (ROOT / "config" / "prices.yaml").read_bytes() == SHIPPED.read_bytes()


def test_header_tells_source_date_licence_and_how_to_write_it_anew() -> None:
    header = SHIPPED.read_text(encoding="utf-8").split("\nmodels:")[0]
    for fact in ("genai-prices", "MIT", "as of 20", "config/generate_prices.py", "estimates"):
        assert fact in header


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_has_a_price_and_figures_in_range(name: str) -> None:
    model = MODELS[name]
    assert set(model) <= {"id", "price", "quality", "latency", "context"}
    assert {"input", "output"} <= set(model["price"]) <= {"input", "cached_input", "cache_write", "output"}
    charged = {kind: price for kind, price in model["price"].items() if kind != "output" or "embedding" not in name}
    assert all(0 < price < 1000 for price in charged.values())
    assert model["price"].get("cached_input", 0) <= model["price"]["input"]
    assert 0 < model["quality"] < 1
    assert str(model["latency"]).endswith("ms")


@pytest.mark.parametrize("name", list(MODELS))
def test_every_price_is_a_whole_number_of_picodollars_a_token(name: str) -> None:
    for price in MODELS[name]["price"].values():
        assert (float(price) * 10**6) == pytest.approx(round(float(price) * 10**6), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "price", "quality", "latency", "context"),
    [
        ("gpt-4o", {"input": 2.50, "cached_input": 1.25, "output": 10.00}, 0.95, "800ms", "128k"),
        ("gpt-4o-mini", {"input": 0.15, "cached_input": 0.075, "output": 0.60}, 0.82, "400ms", "128k"),
        (
            "claude-sonnet",
            {"input": 3.00, "cached_input": 0.30, "cache_write": 3.75, "output": 15.00},
            0.93,
            "600ms",
            "200k",
        ),
    ],
)
def test_figures_that_the_documents_quote(
    name: str, price: dict[str, float], quality: float, latency: str, context: str
) -> None:
    model = MODELS[name]
    assert (model["price"], model["quality"], model["latency"], model["context"]) == (price, quality, latency, context)


def test_families_in_common_use_are_known() -> None:
    for name in ("gpt-3.5-turbo", "gpt-4.1", "gpt-5", "o3", "o4-mini", "claude-opus-4-5", "claude-haiku-4-5"):
        assert name in MODELS
