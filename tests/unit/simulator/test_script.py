"""Scripts: the exact bytes and pauses of an answer."""

import gzip
import json
import zlib
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import Ask
from gateway.simulator.chat import Chat
from gateway.simulator.framing import Fate, Step, Until
from gateway.simulator.script import script
from tests.support import sse


def steps_of(model: str, **facts: Any) -> list[Step]:
    return list(script(Chat(), compose(Ask(model, **facts), behaviour_of(model), number=7, created=1_700_000_000)))


def written(steps: list[Step]) -> bytes:
    return b"".join(step for step in steps if isinstance(step, bytes))


def unchunk(data: bytes) -> bytes:
    """Take chunked framing off; what is left must be nothing."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, end, data = body + data[:length], data[length : length + 2], data[length + 2 :]
        assert end == b"\r\n"
        if not length:
            assert data == b""
            return body


def stream(model: str, **facts: Any) -> bytes:
    _, _, body = written(steps_of(model, stream=True, **facts)).partition(b"\r\n\r\n")
    return unchunk(body)


def cut_stream(model: str) -> bytes:
    """Give the events of a stream that does not end, one chunk each."""
    _, *chunks = [step for step in steps_of(model, stream=True) if isinstance(step, bytes)]
    return b"".join(chunk.partition(b"\r\n")[2][:-2] for chunk in chunks)


def document(model: str, **facts: Any) -> Any:
    head, _, body = written(steps_of(model, **facts)).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    return json.loads(body)


@pytest.mark.parametrize("tokens", [0, 1, 16, 250])
def test_completion_tokens_equal_the_number_of_content_events(tokens: int) -> None:
    chunks = sse.chunks_of(stream(f"sim-tokens{tokens}", wants_usage=True))
    contents = [chunk for chunk in chunks if chunk["choices"] and chunk["choices"][0]["delta"].get("content")]
    assert len(contents) == tokens == chunks[-1]["usage"]["completion_tokens"]


def test_a_stream_is_role_then_content_then_reason_then_done() -> None:
    events = sse.split(stream("sim-tokens2"))
    deltas = [event.json()["choices"][0] for event in events[:-1]]
    assert deltas[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [choice["delta"] for choice in deltas[1:]] == [{"content": "lorem "}, {"content": "café "}, {}]
    assert [choice["finish_reason"] for choice in deltas] == [None, None, None, "stop"]
    assert events[-1].data == "[DONE]"


def test_streamed_and_unstreamed_text_are_the_same_and_follow_the_seed() -> None:
    whole = document("sim-tokens20-seed3")["choices"][0]["message"]["content"]
    assert whole == sse.text_of(stream("sim-tokens20-seed3"))
    assert whole != sse.text_of(stream("sim-tokens20-seed4"))


def test_usage_comes_as_openai_sends_it() -> None:
    chunks = sse.chunks_of(stream("sim-tokens2-cached_tokens3", wants_usage=True, words=9))
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert all("usage" not in chunk for chunk in sse.chunks_of(stream("sim-tokens2")))


def test_usage_can_be_bare_late_forced_or_missing() -> None:
    bare = sse.chunks_of(stream("sim-tokens2-bare_usage", wants_usage=True))
    assert ["usage" in chunk for chunk in bare] == [False] * 4 + [True]
    late = sse.chunks_of(stream("sim-tokens2-late_usage-prompt_tokens50"))
    assert late[-1]["choices"][0]["finish_reason"] == "stop"
    assert late[-1]["usage"]["prompt_tokens"] == 50
    assert all("usage" not in chunk for chunk in sse.chunks_of(stream("sim-no_usage", wants_usage=True)))
    assert "usage" not in document("sim-no_usage")


def test_max_tokens_cut_the_answer_with_reason_length() -> None:
    body = document("sim-tokens20", max_tokens=5)
    assert body["usage"]["completion_tokens"] == 5
    assert body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(("calls", "tokens"), [(1, 1), (2, 7), (3, 3), (5, 2)])
def test_tool_calls_put_together_from_deltas_are_those_of_the_document(calls: int, tokens: int) -> None:
    model = f"sim-tools{calls}-tokens{tokens}"
    together: dict[int, dict[str, Any]] = {}
    for chunk in sse.chunks_of(stream(model, tool_names=("find", "book"))):
        for delta in chunk["choices"][0]["delta"].get("tool_calls", []):
            call = together.setdefault(delta["index"], {"arguments": ""})
            call |= {"name": delta["function"].get("name", call.get("name")), "id": delta.get("id", call.get("id"))}
            call["arguments"] += delta["function"]["arguments"]
    message = document(model, tool_names=("find", "book"))["choices"][0]
    assert message["finish_reason"] == "tool_calls"
    assert list(together.values()) == [{**one["function"], "id": one["id"]} for one in message["message"]["tool_calls"]]
    assert len(together) == min(calls, tokens)
    assert all(set(json.loads(call["arguments"])) == {"words"} for call in together.values())


def test_pace_is_kept_in_absolute_time() -> None:
    waits = [step.seconds for step in steps_of("sim-tokens4-first0.5s-rate10", stream=True) if isinstance(step, Until)]
    assert waits == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert steps_of("sim-tokens4-first0.5s-rate10-head2s")[:2] == [Until(2.0), Until(pytest.approx(0.8))]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_cut_stream_has_so_many_content_events_and_no_end(count: int) -> None:
    steps = steps_of(f"sim-tokens3-cut_after{count}", stream=True)
    assert steps[-1] is Fate.CUT
    got = cut_stream(f"sim-tokens3-cut_after{count}")
    assert len(sse.chunks_of(got)) == 1 + count
    assert b"[DONE]" not in got and b'"stop"' not in got


def test_a_stream_can_be_cut_inside_an_event() -> None:
    assert steps_of("sim-tokens3-cut_inside1", stream=True)[-1] is Fate.CUT
    got = cut_stream("sim-tokens3-cut_inside1")
    assert not got.endswith(b"\n") and got.count(b"data: ") == 3


def test_a_stalled_stream_ends_in_silence() -> None:
    steps = steps_of("sim-tokens3-stall_after2", stream=True)
    assert steps[-1] is Fate.STALL
    assert len(sse.chunks_of(cut_stream("sim-tokens3-stall_after2"))) == 3


def test_a_stream_can_fail_in_band_or_end_without_a_reason() -> None:
    failed = sse.split(stream("sim-tokens3-fail_after2"))
    assert "error" in failed[-1].json() and len(failed) == 4
    ended = stream("sim-tokens3-end_after2")
    assert len(sse.split(ended)) == 3 and b'"stop"' not in ended
    assert b'"stop"' in stream("sim-no_done") and not sse.is_complete(stream("sim-no_done"))


@pytest.mark.parametrize(
    ("fault", "fate"), [("cut_after1", Fate.CUT), ("cut_inside1", Fate.CUT), ("stall_after1", Fate.STALL)]
)
def test_an_unstreamed_answer_breaks_off_after_half_its_body(fault: str, fate: Fate) -> None:
    steps = steps_of(f"sim-{fault}")
    head, _, body = written(steps).partition(b"\r\n\r\n")
    announced = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert steps[-1] is fate and len(body) == announced // 2


def test_nothing_comes_where_the_head_is_cut_or_stalled() -> None:
    assert steps_of("sim-cut_head", stream=True) == [Fate.CUT]
    assert steps_of("sim-stall_head") == [Fate.STALL]


def test_an_error_carries_its_status_and_retry_after() -> None:
    [answer] = steps_of("sim-error429-retry_after1.5s", stream=True)
    assert isinstance(answer, bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ") and b"retry-after: 2" in head
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    [redirect] = steps_of("sim-error307")
    assert isinstance(redirect, bytes) and b"location: " in redirect


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("sim-quota", 429, "insufficient_quota"),
        ("sim-policy", 400, "content_policy_violation"),
        ("sim-window8", 400, "context_length_exceeded"),
        ("sim-quota-policy-error418", 418, "simulated"),
    ],
)
def test_refusals_say_why(model: str, status: int, code: str) -> None:
    [answer] = steps_of(model, words=9)
    assert isinstance(answer, bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and b"retry-after" not in head
    assert json.loads(body)["error"]["code"] == code


def test_a_window_takes_what_fits() -> None:
    assert document("sim-window9", words=9)["usage"]["prompt_tokens"] == 9


def test_line_ends_comments_pieces_and_bunches_change_the_bytes_and_not_the_events() -> None:
    plain = sse.data_events(stream("sim-tokens5"))
    for field in ("crlf", "comments", "chunk1", "chunk7", "join3", "join100", "crlf-comments-chunk3-join2"):
        model = f"sim-tokens5-{field}"
        events = sse.data_events(stream(model))
        assert [event.data.replace(model, "sim-tokens5") for event in events] == [event.data for event in plain], field
    assert b"\r\n\r\n" in stream("sim-crlf") and b"\n\n" not in stream("sim-crlf")
    assert stream("sim-tokens5-comments").count(b": keep-alive\n\n") == 5
    sizes = [len(step.split(b"\r\n")[0]) for step in steps_of("sim-chunk1", stream=True)[1:] if isinstance(step, bytes)]
    assert set(sizes) == {1}


def test_compressed_answers_come_apart_again() -> None:
    assert zlib.decompress(stream("sim-gzip"), wbits=31).endswith(b"data: [DONE]\n\n")
    head, _, body = written(steps_of("sim-gzip")).partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head and json.loads(gzip.decompress(body))["choices"]


def test_a_token_can_be_of_any_size() -> None:
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in sse.chunks_of(stream("sim-tokens2-bytes100k"))]
    assert [len(text) for text in contents if text] == [100_000, 100_000]


def test_a_tricky_token_survives_as_text() -> None:
    text = sse.text_of(stream("sim-tokens2-tricky"))
    assert text.startswith('data: [DONE]\n\n"usage":') and "\u2028" in text


def test_wrong_bytes_come_as_told() -> None:
    assert b"text/html" in written(steps_of("sim-html", stream=True))
    assert written(steps_of("sim-garbage")).endswith(b'\r\n\r\n{"id": "chatcmpl-')
    assert b"data: {not json\n\n" in stream("sim-garbage")
    assert len(stream("sim-huge_line300k")) == 300_000 + len(b'data: {"choices":[{"index":0,"delta":{"content":"')
    head, _, body = written(steps_of("sim-long_length9")).partition(b"\r\n\r\n")
    assert f"content-length: {len(body) + 9}".encode() in head and steps_of("sim-long_length9")[-1] is Fate.CLOSE
    assert written(steps_of("sim-surplus5", stream=True)).endswith(b"0\r\n\r\nxxxxx")
    assert steps_of("sim-close")[-1] is Fate.CLOSE


def test_the_same_request_gives_the_same_script() -> None:
    assert steps_of("sim-tokens9-seed5-chunk4", stream=True) == steps_of("sim-tokens9-seed5-chunk4", stream=True)
