"""Embeddings."""

import json
import struct
from base64 import b64decode
from math import sqrt
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.embeddings import MAX_INPUTS, Embeddings, vector


def read(**body: Any) -> Ask:
    return Embeddings.read(json.dumps({"model": "sim", **body}).encode(), {})


def document(model: str = "sim", **body: Any) -> Any:
    told = Embeddings.tell(compose(read(model=model, **body), behaviour_of(model), 7, 0))
    assert isinstance(told, bytes)
    return json.loads(told)


def test_a_vector_has_length_one_and_follows_from_the_text() -> None:
    assert sqrt(sum(number**2 for number in vector("a", 64))) == pytest.approx(1)
    assert vector("a", 64) == vector("a", 64) != vector("b", 64)


def test_inputs_come_back_in_order_with_exact_usage() -> None:
    body = document(input=["one two", "three"])
    assert [one["index"] for one in body["data"]] == [0, 1]
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert body["data"][1]["embedding"] == document(input="three")["data"][0]["embedding"]
    assert document(input=[[1, 2], [3]])["usage"]["prompt_tokens"] == 3
    assert "usage" not in document("sim-no_usage", input="a")


def test_base64_holds_the_same_numbers() -> None:
    floats = document(input="a", dimensions=8)["data"][0]["embedding"]
    packed = document(input="a", dimensions=8, encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack("<8f", b64decode(packed))) == floats
    assert len(document("sim-dimensions5", input="a")["data"][0]["embedding"]) == 5


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": ""},
        {"input": []},
        {"input": ["a", ""]},
        {"input": 3},
        {"input": "a", "dimensions": 0},
        {"input": ["a"] * (MAX_INPUTS + 1)},
        {"input": "a", "encoding_format": "x"},
    ],
)
def test_one_wrong_thing_fails_the_whole_call(body: Any) -> None:
    with pytest.raises(BadAsk):
        read(**body)
