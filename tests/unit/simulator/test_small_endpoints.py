"""The small endpoints."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.model_output import generate
from gateway.simulator.request import BadRequest
from gateway.simulator.small_endpoints import Batches, Images, Moderations, Rerank, Speech, filler_bytes


def render(handler: Any, given: dict[str, Any] | None = None, **body: Any) -> Any:
    ask = handler.read_request(json.dumps(body).encode() if body else b"", given or {})
    told = handler.render(generate(ask, behaviour_of(ask.model), 7, 0))
    return json.loads(told) if isinstance(told, bytes) else told


def test_flags_are_for_inputs_that_hold_the_word() -> None:
    assert [one["flagged"] for one in render(Moderations, input=["a flag", "fine"])["results"]] == [True, False]
    assert render(Moderations, input="flag")["results"][0]["categories"]["harassment"]


def test_documents_are_ranked_by_shared_words() -> None:
    results = render(Rerank, query="red fox", documents=["a dog", {"text": "a red fox"}, "a fox"], top_n=2)["results"]
    assert results == [{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.5}]


def test_pictures_come_in_the_number_asked_for() -> None:
    assert len(render(Images, prompt="a cat", n=3)["data"]) == 3
    assert len(render(Images, prompt="a cat")["data"]) == 1


def test_speech_is_so_many_chunks() -> None:
    told = render(Speech, model="sim-tokens3-bytes100", input="x")
    assert [event for _, event in told.contents()] == [filler_bytes(100)] * 3
    assert [*told.opening(), *told.ending(), told.end_marker(), told.error_event()] == [b"", b""]


def test_a_batch_is_what_was_asked_for() -> None:
    body = render(Batches, endpoint="/v1/embeddings", input_file_id="f", completion_window="24h")
    assert (body["endpoint"], body["input_file_id"], body["status"]) == ("/v1/embeddings", "f", "validating")
    assert render(Batches, {"id": "batch_1"})["id"] == "batch_1"


@pytest.mark.parametrize("body", [b"[]", b"{"])
def test_anything_but_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        Rerank.read_request(body, {})


def test_noise_is_as_long_as_asked_for() -> None:
    assert [len(filler_bytes(size)) for size in (0, 1, 65536, 200_000)] == [0, 1, 65536, 200_000]
