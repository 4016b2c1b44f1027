"""Write the table of known models: config/prices.yaml and the copy in the package.

    pip install genai-prices
    python config/generate_prices.py

Prices and context windows come from the genai-prices package (MIT). Quality and latency are estimates of this table's
own, on the scale of the first three lines: override them in gateway.yaml with what you measure.
"""

import datetime
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import get_snapshot

ROOT = Path(__file__).resolve().parent.parent
TARGETS = (ROOT / "config" / "prices.yaml", ROOT / "gateway" / "config" / "builtin" / "prices.yaml")


@dataclass(frozen=True)
class Entry:
    """`name` as routes and pools use it; `id` as the provider does, where it differs; `known_as` in the source of prices."""

    maker: str
    name: str
    quality: str
    latency_ms: int
    id: str = ""
    known_as: str = ""


# Quality 0 to 1 for general chat, latency to the first token; gpt-4o, gpt-4o-mini, gpt-3.5-turbo and the Sonnets up to
# 4.5 are the fixed points, the others are placed around them.
ENTRIES = (
    Entry("openai", "gpt-4o", "0.95", 800),
    Entry("openai", "gpt-4o-mini", "0.82", 400),
    Entry("openai", "gpt-3.5-turbo", "0.80", 300),
    Entry("openai", "gpt-4", "0.90", 1200),
    Entry("openai", "gpt-4-turbo", "0.92", 1000),
    Entry("openai", "gpt-4.1", "0.95", 700),
    Entry("openai", "gpt-4.1-mini", "0.88", 450),
    Entry("openai", "gpt-4.1-nano", "0.78", 300),
    Entry("openai", "gpt-5", "0.97", 2500),
    Entry("openai", "gpt-5-mini", "0.93", 1500),
    Entry("openai", "gpt-5-nano", "0.85", 1000),
    Entry("openai", "gpt-5-pro", "0.98", 20000),
    Entry("openai", "gpt-5.1", "0.97", 2000),
    Entry("openai", "gpt-5.2", "0.97", 2000),
    Entry("openai", "gpt-5.3", "0.97", 2000),
    Entry("openai", "gpt-5.4", "0.98", 2000),
    Entry("openai", "gpt-5.4-mini", "0.94", 1200),
    Entry("openai", "gpt-5.4-nano", "0.87", 800),
    Entry("openai", "gpt-5.5", "0.98", 2000),
    Entry("openai", "gpt-5.6-luna", "0.94", 800),
    Entry("openai", "gpt-5.6-terra", "0.97", 1200),
    Entry("openai", "gpt-5.6-sol", "0.98", 2000),
    Entry("openai", "gpt-6-luna", "0.94", 800),
    Entry("openai", "gpt-6.1-terra", "0.97", 1200),
    Entry("openai", "gpt-6.1-sol", "0.98", 2000),
    Entry("openai", "gpt-6-astra", "0.99", 3000),
    Entry("openai", "o1", "0.95", 8000),
    Entry("openai", "o3", "0.96", 6000),
    Entry("openai", "o3-mini", "0.92", 4000),
    Entry("openai", "o4-mini", "0.94", 4000),
    Entry("openai", "gpt-oss-120b", "0.90", 500),
    Entry("openai", "gpt-oss-20b", "0.82", 400),
    Entry("openai", "text-embedding-3-large", "0.65", 150),
    Entry("openai", "text-embedding-3-small", "0.62", 100),
    Entry("openai", "text-embedding-ada-002", "0.61", 100),
    Entry("anthropic", "claude-sonnet", "0.93", 600, id="claude-sonnet-4-5", known_as="claude-sonnet-4-5"),
    Entry("anthropic", "claude-sonnet-4-0", "0.93", 600),
    Entry("anthropic", "claude-sonnet-4-5", "0.93", 600),
    Entry("anthropic", "claude-sonnet-4-6", "0.95", 700),
    Entry("anthropic", "claude-sonnet-5", "0.96", 700),
    Entry("anthropic", "claude-sonnet-5-5", "0.97", 700),
    Entry("anthropic", "claude-opus-4-0", "0.95", 1200),
    Entry("anthropic", "claude-opus-4-1", "0.95", 1200),
    Entry("anthropic", "claude-opus-4-5", "0.97", 1000),
    Entry("anthropic", "claude-opus-4-6", "0.97", 1000),
    Entry("anthropic", "claude-opus-4-7", "0.98", 1000),
    Entry("anthropic", "claude-opus-4-8", "0.98", 1000),
    Entry("anthropic", "claude-opus-5", "0.98", 1000),
    Entry("anthropic", "claude-opus-5-5", "0.98", 1000),
    Entry("anthropic", "claude-haiku-4-5", "0.88", 400),
    Entry("anthropic", "claude-haiku-5-5", "0.90", 350),
    Entry("anthropic", "claude-3-7-sonnet-latest", "0.93", 600),
    Entry("anthropic", "claude-3-5-sonnet-20241022", "0.93", 600, known_as="claude-3-5-sonnet"),
    Entry("anthropic", "claude-3-5-haiku-latest", "0.84", 400),
    Entry("anthropic", "claude-3-haiku-20240307", "0.78", 350, known_as="claude-3-haiku"),
    Entry("google", "gemini-2.5-pro", "0.96", 2500),
    Entry("google", "gemini-2.5-flash", "0.91", 600),
    Entry("google", "gemini-2.5-flash-lite", "0.84", 350),
    Entry("google", "gemini-2.0-flash", "0.86", 400),
    Entry("google", "gemini-2.0-flash-lite", "0.81", 300),
    Entry("google", "gemini-3.1-pro-preview", "0.97", 2500),
    Entry("google", "gemini-3.1-flash-lite", "0.88", 400),
    Entry("google", "gemini-3.5-flash", "0.95", 700),
    Entry("google", "gemini-3.8-flash", "0.96", 700),
    Entry("mistral", "mistral-large-latest", "0.92", 700, known_as="mistral-large-2512"),
    Entry("mistral", "mistral-medium-latest", "0.91", 600),
    Entry("mistral", "mistral-small-latest", "0.84", 400),
    Entry("mistral", "ministral-8b-latest", "0.74", 300),
    Entry("mistral", "open-mistral-nemo", "0.70", 300, known_as="mistral-nemo"),
    Entry("mistral", "codestral-latest", "0.84", 400, known_as="codestral-2508"),
    Entry("deepseek", "deepseek-chat", "0.93", 1000),
    Entry("deepseek", "deepseek-reasoner", "0.95", 5000),
    Entry("deepseek", "deepseek-v4-flash", "0.94", 900),
    Entry("deepseek", "deepseek-v4-pro", "0.96", 1500),
    Entry("x-ai", "grok-4-fast-non-reasoning", "0.92", 500),
    Entry("x-ai", "grok-4-fast-reasoning", "0.94", 2500),
    Entry("x-ai", "grok-4.3", "0.95", 1500),
    Entry("x-ai", "grok-4.7", "0.97", 1500),
    Entry("groq", "llama-3.3-70b-versatile", "0.86", 250),
    Entry("groq", "llama-3.1-8b-instant", "0.72", 150),
    Entry("groq", "llama-4-scout", "0.84", 200, id="meta-llama/llama-4-scout-17b-16e-instruct", known_as="meta-llama/llama-4-scout-17b-16e-instruct"),
    Entry("groq", "llama-4-maverick", "0.88", 250, id="meta-llama/llama-4-maverick-17b-128e-instruct", known_as="meta-llama/llama-4-maverick-17b-128e-instruct"),
    Entry("groq", "qwen3-32b", "0.86", 250, id="qwen/qwen3-32b", known_as="qwen/qwen3-32b"),
    Entry("cerebras", "llama3.1-8b", "0.72", 100),
    Entry("cerebras", "llama-3.3-70b", "0.86", 150),
    Entry("cohere", "command-a-03-2025", "0.88", 500, known_as="command-a"),
    Entry("cohere", "command-r7b-12-2024", "0.70", 250, known_as="command-r7b"),
    Entry("perplexity", "sonar", "0.85", 1500),
    Entry("perplexity", "sonar-pro", "0.91", 2500),
)  # fmt: skip

TITLES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "mistral": "Mistral",
    "deepseek": "DeepSeek",
    "x-ai": "xAI",
    "groq": "Groq: open models, by their names there",
    "cerebras": "Cerebras: open models, by their names there",
    "cohere": "Cohere",
    "perplexity": "Perplexity",
}
# The key of a price in gateway.yaml and the field of the source.
PRICES = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}


def main() -> None:
    now = datetime.datetime.now(datetime.UTC).replace(hour=12)  # by day, where nights are cheaper
    providers = {provider.id: provider for provider in get_snapshot().providers}
    lines = [
        "# Known models: prices in USD per 1M tokens, context windows in tokens, quality (0 to 1) and latency to the first token.",
        f"# Prices and windows: genai-prices {version('genai-prices')} (MIT licence, pydantic/genai-prices), as of {now:%Y-%m-%d};",
        "# for prompts of any length the price of short ones. Quality and latency are estimates: override what you measure.",
        "# An entry becomes a model once gateway.yaml gives it a provider: gpt-4o: {provider: openai}",
        "# Written by config/generate_prices.py; do not edit. gateway/config/builtin/prices.yaml is the same file.",
        "models:",
    ]
    for maker, entries in groupby(ENTRIES, key=lambda entry: entry.maker):
        lines.append(f"  # {TITLES[maker]}")
        lines += [_line(entry, providers[maker], now) for entry in entries]
    for target in TARGETS:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(entry: Entry, provider: Any, now: datetime.datetime) -> str:
    wanted = entry.known_as or entry.name
    known = next((model for model in provider.models if model.id == wanted), None)
    if known is None:
        sys.exit(f"{entry.maker} has no model {wanted} in this version of genai-prices")
    prices = known.get_prices(now)
    price = ", ".join(
        f"{key}: {_decimal(value)}" for key, field in PRICES.items() if (value := getattr(prices, field)) is not None
    )
    if prices.output_mtok is None:  # of embeddings: there is nothing to pay for
        price += ", output: 0"
    fields = [f"id: {entry.id}"] if entry.id else []
    fields += [f"price: {{{price}}}", f"quality: {entry.quality}", f"latency: {entry.latency_ms}ms"]
    if known.context_window:
        fields.append(f"context: {_count(known.context_window)}")
    return f"  {entry.name}: {{{', '.join(fields)}}}"


def _decimal(value: Any) -> str:
    """Write a price with two decimals at least and all that it has; of a tiered one the first tier."""
    exact = Decimal(getattr(value, "base", value)).normalize()
    exponent = exact.as_tuple().exponent
    return f"{exact:.2f}" if isinstance(exponent, int) and exponent > -2 else f"{exact:f}"


def _count(tokens: int) -> str:
    if tokens % 1_000_000 == 0:
        return f"{tokens // 1_000_000}M"
    return f"{tokens // 1000}k" if tokens % 1000 == 0 else str(tokens)


if __name__ == "__main__":
    main()
