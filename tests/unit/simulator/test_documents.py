"""The small endpoints."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import BadAsk
from gateway.simulator.documents import Batches, Images, Moderations, Rerank, Speech, noise


def tell(face: Any, given: dict[str, Any] | None = None, **body: Any) -> Any:
    ask = face.read(json.dumps(body).encode() if body else b"", given or {})
    told = face.tell(compose(ask, behaviour_of(ask.model), 7, 0))
    return json.loads(told) if isinstance(told, bytes) else told


def test_flags_are_for_inputs_that_hold_the_word() -> None:
    assert [one["flagged"] for one in tell(Moderations, input=["a flag", "fine"])["results"]] == [True, False]
    assert tell(Moderations, input="flag")["results"][0]["categories"]["harassment"]


def test_documents_are_ranked_by_shared_words() -> None:
    results = tell(Rerank, query="red fox", documents=["a dog", {"text": "a red fox"}, "a fox"], top_n=2)["results"]
    assert results == [{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.5}]


def test_pictures_come_in_the_number_asked_for() -> None:
    assert len(tell(Images, prompt="a cat", n=3)["data"]) == 3
    assert len(tell(Images, prompt="a cat")["data"]) == 1


def test_speech_is_so_many_chunks() -> None:
    told = tell(Speech, model="sim-tokens3-bytes100", input="x")
    assert [event for _, event in told.contents()] == [noise(100)] * 3
    assert [*told.opening(), *told.ending(), told.mark(), told.failure()] == [b"", b""]


def test_a_batch_is_what_was_asked_for() -> None:
    body = tell(Batches, endpoint="/v1/embeddings", input_file_id="f", completion_window="24h")
    assert (body["endpoint"], body["input_file_id"], body["status"]) == ("/v1/embeddings", "f", "validating")
    assert tell(Batches, {"id": "batch_1"})["id"] == "batch_1"


@pytest.mark.parametrize("body", [b"[]", b"{"])
def test_anything_but_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadAsk):
        Rerank.read(body, {})


def test_noise_is_as_long_as_asked_for() -> None:
    assert [len(noise(size)) for size in (0, 1, 65536, 200_000)] == [0, 1, 65536, 200_000]
