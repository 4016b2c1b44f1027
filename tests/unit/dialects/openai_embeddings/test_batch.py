"""Several calls as one, and its answer taken apart."""

import json
from typing import Any

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.openai_embeddings.batch import batch_key, count_inputs, divide, join, split
from tests.support.embeddings import answer, request


def parts(body: dict[str, Any] | bytes, *given: Any) -> list[tuple[dict[str, Any], Usage | None]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(json.loads(part), usage) for part, usage in split(data, [request(one) for one in given])]


# One call of several


def test_inputs_stand_behind_each_other_in_one_list() -> None:
    requests = [request("a", user="u"), request(["b", "c"], user="u"), request(["d"], user="u")]
    assert json.loads(join(requests, "n")) == {"model": "n", "input": ["a", "b", "c", "d"], "user": "u"}


def test_tokens_become_lists_of_tokens() -> None:
    requests = [request([1, 2]), request([[3], [4, 5]])]
    assert json.loads(join(requests, "n"))["input"] == [[1, 2], [3], [4, 5]]


def test_texts_are_joined_as_they_are_written() -> None:
    one, other = request("a"), request("b")
    assert b'"input":["a","b"]' in join([one, other], "e")


def test_inputs_are_counted() -> None:
    assert [count_inputs(request(given)) for given in ("a", ["a", "b"], [1, 2, 3], [[1], [2]])] == [1, 2, 1, 2]


def test_what_is_equal_but_for_its_inputs_is_alike() -> None:
    assert batch_key(request("a", user="u", dimensions=3)) == batch_key(request(["b", "c"], dimensions=3, user="u"))


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("a", {"model": "other"}),
        ("a", {"user": "u"}),
        ("a", {"dimensions": 3}),
        ("a", {"encoding_format": "base64"}),
        ("a", {"unknown": 1}),
        ([1, 2], {}),
        ([[1]], {}),
    ],
)
def test_what_differs_in_anything_else_is_not_alike(given: Any, fields: dict[str, Any]) -> None:
    assert batch_key(request(given, **fields)) != batch_key(request("a"))


# Its answer


def test_each_gets_its_own_vectors_counted_from_0() -> None:
    whole = answer(["a", "b", "c"])
    (first, _), (second, _) = parts(whole, "a", ["b", "c"])
    assert [item["embedding"] for item in first["data"]] == [whole["data"][0]["embedding"]]
    assert [item["embedding"] for item in second["data"]] == [one["embedding"] for one in whole["data"][1:]]
    assert [item["index"] for item in second["data"]] == [0, 1]
    assert (first["object"], first["model"]) == ("list", "e")


def test_vectors_are_taken_by_index_wherever_they_stand() -> None:
    whole = answer(["a", "b", "c"])
    expected = [one["embedding"] for one in whole["data"]]
    whole["data"] = [whole["data"][2], whole["data"][0], whole["data"][1]]
    found = parts(whole, "a", "b", "c")
    assert [part["data"][0]["embedding"] for part, _ in found] == expected


def test_vectors_without_any_index_stand_in_order() -> None:
    whole = answer(["a", "b"])
    for item in whole["data"]:
        del item["index"]
    found = parts(whole, "a", "b")
    assert [part["data"][0] for part, _ in found] == [{**item, "index": 0} for item in whole["data"]]


def test_numbers_and_base64_go_on_byte_for_byte() -> None:
    body = b'{"data":[{"index":1,"embedding":"AACA\\/w=="},{"index":0,"embedding":[1.50, -0e0 ,1E-7]}],"x":{"y":1.0}}'
    first, second = (part for part, _ in split(body, [request("a"), request("b")]))
    assert first == b'{"data":[{"index":0,"embedding":[1.50, -0e0 ,1E-7]}],"x":{"y":1.0}}'
    assert second == b'{"data":[{"index":0,"embedding":"AACA\\/w=="}],"x":{"y":1.0}}'


@pytest.mark.parametrize("indices", [[0, 0], [0, 2], [1, 2], [0, None], [-1, 0]])
def test_an_answer_that_does_not_say_whose_a_vector_is_is_none(indices: list[int | None]) -> None:
    whole = answer(["a", "b"])
    for item, index in zip(whole["data"], indices, strict=True):
        item["index"] = index
    with pytest.raises(ProtocolError, match="lacks or repeats the index"):
        parts(whole, "a", "b")


@pytest.mark.parametrize("inputs", [[], ["a"], ["a", "b", "c"]])
def test_an_answer_of_another_length_is_none(inputs: list[Any]) -> None:
    with pytest.raises(ProtocolError, match=f"{len(inputs)} embeddings where 2 are due"):
        parts(answer(inputs), "a", "b")


@pytest.mark.parametrize("body", [b"<html>", b'{"data":[1,2]}', b'{"data":[{"index":"0"},{}]}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parts(body, "a", "b")


def test_an_error_that_came_with_200_is_one() -> None:
    with pytest.raises(Unavailable):
        parts(b'{"error":{"message":"overloaded"}}', "a", "b")


# Its usage


def test_usage_is_divided_by_tokens_and_marked_as_an_estimate() -> None:
    (first, one), (second, other) = parts(answer(["a"] * 2, prompt_tokens=10, total_tokens=10), "x" * 16, "x" * 4)
    assert (one, other) == (Usage(input=8, is_estimated=True), Usage(input=2, is_estimated=True))
    assert first["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert second["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_usage_of_tokens_is_exact_where_the_provider_counts_the_same() -> None:
    found = parts(answer([[1, 2, 3], [4]]), [1, 2, 3], [4])
    assert [usage for _, usage in found] == [Usage(input=3), Usage(input=1)]
    found = parts(answer([[1, 2, 3], [4]], prompt_tokens=9), [1, 2, 3], [4])
    assert [usage for _, usage in found] == [Usage(input=7, is_estimated=True), Usage(input=2, is_estimated=True)]


def test_every_class_of_tokens_is_divided_by_itself() -> None:
    whole = answer(["a", "b"], prompt_tokens=9, completion_tokens=3)
    whole["usage"]["prompt_tokens_details"] = {"cached_tokens": 3}
    found = [usage for _, usage in parts(whole, "a", "b")]
    assert found == [
        Usage(input=3, cached_input=2, output=2, is_estimated=True),
        Usage(input=3, cached_input=1, output=1, is_estimated=True),
    ]


def test_without_usage_there_is_none_to_divide() -> None:
    whole = answer(["a", "b"])
    del whole["usage"]
    assert [(usage, "usage" in part) for part, usage in parts(whole, "a", "b")] == [(None, False)] * 2


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [(10, [1, 1, 1], [4, 3, 3]), (0, [1, 5], [0, 0]), (1, [1, 1], [1, 0]), (7, [1, 2, 4], [1, 2, 4]), (5, [3], [5])],
)
def test_shares_are_whole_and_add_up(total: int, weights: list[int], shares: list[int]) -> None:
    assert divide(total, weights) == shares
