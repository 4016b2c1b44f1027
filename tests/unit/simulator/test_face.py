"""Behaviours and faults are the same in every dialect that streams."""

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import Ask
from gateway.simulator.chat import Chat
from gateway.simulator.completions import Completions
from gateway.simulator.documents import Speech
from gateway.simulator.face import Face
from gateway.simulator.framing import Fate, Step, Until
from gateway.simulator.messages import Messages
from gateway.simulator.responses import Responses
from gateway.simulator.script import script

KEPT: dict[str, Any] = {"starts": ("",), "repeated": {}, "is_encrypted": False}


@dataclass(frozen=True)
class Case:
    """A face, and the bytes by which its content, its mark and its error are known."""

    face: Face
    content: bytes
    mark: bytes
    error: bytes


CASES = [
    Case(Chat(), b'"delta":{"content":', b"data: [DONE]", b'"error":'),
    Case(Completions(), b'"text":"', b"data: [DONE]", b'"error":'),
    Case(Messages(), b'"type":"text_delta","text":"', b"event: message_stop", b"event: error"),
    Case(Responses(), b"event: response.output_text.delta", b"event: response.completed", b"event: response.failed"),
]
every_face = pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.face).__name__)


def steps_of(face: Face, model: str, stream: bool = True) -> list[Step]:
    return list(script(face, compose(Ask(model, stream, kept=KEPT), behaviour_of(model), 7, 0)))


def body_of(steps: list[Step]) -> bytes:
    return b"".join(step for step in steps if isinstance(step, bytes)).partition(b"\r\n\r\n")[2]


def contents(case: Case, body: bytes) -> int:
    """Count the content events; that of legacy completions is empty at the end."""
    return body.count(case.content) - body.count(case.content + b'",')


@every_face
def test_a_whole_stream_has_all_content_and_one_mark(case: Case) -> None:
    body = body_of(steps_of(case.face, "sim-tokens5"))
    assert (contents(case, body), body.count(case.mark)) == (5, 1)
    assert case.error not in body.replace(b'"error":null', b"")


@every_face
@pytest.mark.parametrize(
    ("fault", "count", "fate"),
    [("cut_after2", 2, Fate.CUT), ("cut_inside2", 3, Fate.CUT), ("stall_after2", 2, Fate.STALL)],
)
def test_a_broken_stream_has_no_mark(case: Case, fault: str, count: int, fate: Fate) -> None:
    steps = steps_of(case.face, f"sim-tokens5-{fault}")
    body = body_of(steps)
    assert steps[-1] is fate
    assert count - 1 <= contents(case, body) <= count and case.mark not in body


@every_face
def test_a_stream_fails_or_ends_without_its_mark(case: Case) -> None:
    failed = body_of(steps_of(case.face, "sim-tokens5-fail_after2"))
    assert contents(case, failed) == 2 and case.error in failed and case.mark not in failed
    ended = body_of(steps_of(case.face, "sim-tokens5-end_after2"))
    assert contents(case, ended) == 2 and case.mark not in ended
    unmarked = body_of(steps_of(case.face, "sim-tokens5-no_done"))
    assert contents(case, unmarked) == 5 and case.mark not in unmarked


@every_face
def test_pace_is_kept(case: Case) -> None:
    waits = [step.seconds for step in steps_of(case.face, "sim-tokens3-first0.5s-rate10") if isinstance(step, Until)]
    assert waits == pytest.approx([0.5, 0.6, 0.7])
    whole = [step for step in steps_of(case.face, "sim-tokens3-first0.5s-rate10", False) if isinstance(step, Until)]
    assert whole == [Until(pytest.approx(0.7))]


@every_face
@pytest.mark.parametrize("stream", [True, False])
def test_heads_and_wrong_bytes(case: Case, stream: bool) -> None:
    assert steps_of(case.face, "sim-cut_head", stream) == [Fate.CUT]
    assert steps_of(case.face, "sim-stall_head", stream) == [Fate.STALL]
    assert b"<!doctype" in body_of(steps_of(case.face, "sim-html", stream))
    garbage = b"data: {not json" if stream else b'{"id": "chatcmpl-'
    assert garbage in body_of(steps_of(case.face, "sim-garbage", stream))
    [refused] = steps_of(case.face, "sim-error503-retry_after2s", stream)
    assert isinstance(refused, bytes) and b" 503 " in refused and b"retry-after: 2\r\n" in refused


def test_sound_is_a_stream_too() -> None:
    steps = steps_of(Speech(), "sim-tokens3-bytes5-cut_after2")
    assert steps[-1] is Fate.CUT
    assert [len(step) for step in steps if isinstance(step, bytes)][1:] == [10, 10]  # five bytes each, framed
