"""Behaviours and faults are the same in every dialect that streams."""

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.chat import Chat
from gateway.simulator.completions import Completions
from gateway.simulator.framing import ConnectionFault, Step, WaitUntil
from gateway.simulator.handler import ApiHandler
from gateway.simulator.messages import Messages
from gateway.simulator.model_output import generate
from gateway.simulator.request import SimulatedRequest
from gateway.simulator.responses import Responses
from gateway.simulator.script import script
from gateway.simulator.small_endpoints import Speech

KEPT: dict[str, Any] = {"starts": ("",), "repeated": {}, "is_encrypted": False}


@dataclass(frozen=True)
class Case:
    """A face, and the bytes by which its content, its mark and its error are known."""

    handler: ApiHandler
    content: bytes
    mark: bytes
    error: bytes


CASES = [
    Case(Chat(), b'"delta":{"content":', b"data: [DONE]", b'"error":'),
    Case(Completions(), b'"text":"', b"data: [DONE]", b'"error":'),
    Case(Messages(), b'"type":"text_delta","text":"', b"event: message_stop", b"event: error"),
    Case(Responses(), b"event: response.output_text.delta", b"event: response.completed", b"event: response.failed"),
]
every_face = pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.handler).__name__)


def steps_of(handler: ApiHandler, model: str, stream: bool = True) -> list[Step]:
    return list(script(handler, generate(SimulatedRequest(model, stream, extra=KEPT), behaviour_of(model), 7, 0)))


def body_of(steps: list[Step]) -> bytes:
    return b"".join(step for step in steps if isinstance(step, bytes)).partition(b"\r\n\r\n")[2]


def contents(case: Case, body: bytes) -> int:
    """Count the content events; that of legacy completions is empty at the end."""
    return body.count(case.content) - body.count(case.content + b'",')


@every_face
def test_a_whole_stream_has_all_content_and_one_mark(case: Case) -> None:
    body = body_of(steps_of(case.handler, "sim-tokens5"))
    assert (contents(case, body), body.count(case.mark)) == (5, 1)
    assert case.error not in body.replace(b'"error":null', b"")


@every_face
@pytest.mark.parametrize(
    ("fault", "count", "ending"),
    [
        ("cut_after2", 2, ConnectionFault.RESET),
        ("cut_inside2", 3, ConnectionFault.RESET),
        ("stall_after2", 2, ConnectionFault.STALL),
    ],
)
def test_a_broken_stream_has_no_mark(case: Case, fault: str, count: int, ending: ConnectionFault) -> None:
    steps = steps_of(case.handler, f"sim-tokens5-{fault}")
    body = body_of(steps)
    assert steps[-1] is ending
    assert count - 1 <= contents(case, body) <= count and case.mark not in body


@every_face
def test_a_stream_fails_or_ends_without_its_mark(case: Case) -> None:
    failed = body_of(steps_of(case.handler, "sim-tokens5-fail_after2"))
    assert contents(case, failed) == 2 and case.error in failed and case.mark not in failed
    ended = body_of(steps_of(case.handler, "sim-tokens5-end_after2"))
    assert contents(case, ended) == 2 and case.mark not in ended
    unmarked = body_of(steps_of(case.handler, "sim-tokens5-no_done"))
    assert contents(case, unmarked) == 5 and case.mark not in unmarked


@every_face
def test_pace_is_kept(case: Case) -> None:
    waits = [
        step.seconds for step in steps_of(case.handler, "sim-tokens3-first0.5s-rate10") if isinstance(step, WaitUntil)
    ]
    assert waits == pytest.approx([0.5, 0.6, 0.7])
    whole = [
        step for step in steps_of(case.handler, "sim-tokens3-first0.5s-rate10", False) if isinstance(step, WaitUntil)
    ]
    assert whole == [WaitUntil(pytest.approx(0.7))]


@every_face
@pytest.mark.parametrize("stream", [True, False])
def test_heads_and_wrong_bytes(case: Case, stream: bool) -> None:
    assert steps_of(case.handler, "sim-cut_head", stream) == [ConnectionFault.RESET]
    assert steps_of(case.handler, "sim-stall_head", stream) == [ConnectionFault.STALL]
    assert b"<!doctype" in body_of(steps_of(case.handler, "sim-html", stream))
    garbage = b"data: {not json" if stream else b'{"id": "chatcmpl-'
    assert garbage in body_of(steps_of(case.handler, "sim-garbage", stream))
    [refused] = steps_of(case.handler, "sim-error503-retry_after2s", stream)
    assert isinstance(refused, bytes) and b" 503 " in refused and b"retry-after: 2\r\n" in refused


def test_sound_is_a_stream_too() -> None:
    steps = steps_of(Speech(), "sim-tokens3-bytes5-cut_after2")
    assert steps[-1] is ConnectionFault.RESET
    assert [len(step) for step in steps if isinstance(step, bytes)][1:] == [10, 10]  # five bytes each, framed
