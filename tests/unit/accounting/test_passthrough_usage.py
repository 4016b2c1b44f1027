"""The use that an answer tells of by itself."""

import json
from typing import Any

import pytest

from gateway.accounting.passthrough_usage import model_known_as, reported_usage
from gateway.config.spec import ModelSpec, PriceSpec
from gateway.core.usage import MOST_TOKENS, Usage


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({"total_tokens": 7}, Usage(input=7)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, Usage(input=5, output=2)),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2)),
        ({"input_tokens": 0, "output_tokens": 2}, Usage(output=2)),
        ({"total_tokens": 7, "output_tokens": 2}, Usage(input=5, output=2)),
        ({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2, "image_tokens": 3}}, Usage(input=3, cached_input=2)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}, Usage(input=5)),
        ({"prompt_tokens": -5, "completion_tokens": -1}, Usage()),
        ({"total_tokens": 10**30}, Usage(input=MOST_TOKENS)),
    ],
)  # fmt: skip
def test_every_way_to_say_it_is_read(usage: dict[str, Any], found: Usage) -> None:
    assert reported_usage(json.dumps({"model": "m", "usage": usage, "more": [1]}).encode()) == ("m", found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"usage":{"total_tokens":1}}',
        b'{"model":"m"}',
        b'{"model":"m","usage":null}',
        b'{"model":"m","usage":{}}',
        b'{"model":"m","usage":{"type":"duration","seconds":3}}',
        b'{"model":"m","usage":{"total_tokens":"7"}}',
        b'{"model":"m","usage":{"total_tokens":1e999}}',
        b'{"model":"\xff","usage":{"total_tokens":1}}',
    ],
)
def test_what_does_not_say_it_says_nothing(body: bytes) -> None:
    assert reported_usage(body) is None


def test_a_model_is_known_by_what_its_provider_calls_it() -> None:
    price = PriceSpec(1, 2)
    given = [ModelSpec("a", "p", "a-2026", price, 0.5), ModelSpec("b", "q", "b", price, 0.5), ModelSpec("a-*", "p", "a-*", price, 0.5)]  # fmt: skip
    models = {model.name: model for model in given}
    assert model_known_as("a-2026", "p", models) == "a"
    assert model_known_as("a", "p", models) == "a"
    assert model_known_as("a-else", "p", models) == "a-*"
    assert model_known_as("b", "p", models) is None
    assert model_known_as("a", "q", models) is None
