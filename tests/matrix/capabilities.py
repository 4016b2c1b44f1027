"""What is tried in a cell. Each raises AssertionError with words that say what is not as it should be."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import msgspec

from tests.matrix.asks import Said, Turn
from tests.matrix.probe import Probe

PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
PICTURE: Final = "https://pictures.test/a.png"
TIMEOUTS: Final = ("APITimeoutError", "APIConnectionTimeoutError")  # Python, JavaScript
BROKEN: Final = ("APIError", "APIStatusError", "failed response")  # which of them is the dialect's matter
STORY: Final = Turn("user", "Tell a long story about a ship")
CITY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
STATUSES: Final = {
    400: "BadRequestError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
}


def chat(probe: Probe) -> None:
    """An answer as a whole: text, why it ended, what it used."""
    _is_text(probe.ask("tokens7-prompt_tokens9-cached_tokens4"))
    if probe.is_simulated:
        assert probe.ask("tokens50", max_tokens=3).stop == "length"


def stream(probe: Probe) -> None:
    """The same in pieces."""
    said = probe.ask("tokens7-prompt_tokens9-cached_tokens4-tricky", stream=True)
    _is_text(said)
    assert said.pieces >= 2, "the stream came in one piece"
    if probe.is_simulated:
        assert probe.ask("tokens50", stream=True, max_tokens=3).stop == "length"


def at_once(probe: Probe) -> None:
    """Several at the same time on one asynchronous client."""
    asks = [
        probe.asked("tokens5"),
        probe.asked("tokens6", stream=True),
        *([probe.asked("tokens7"), probe.asked("tokens8", stream=True)] if probe.is_simulated else []),
    ]
    for ask, said in zip(asks, probe.client.ask_at_once(probe.server, asks), strict=True):
        _is_text(said)
        probe.compare(ask, said)


def tools(probe: Probe) -> None:
    """Calls whose arguments stream, over several turns; and calls side by side."""
    if probe.is_simulated:
        _script(probe, turns=3)
        said = probe.ask("tools2-tokens20", stream=True, has_tool=True)
        assert len(said.calls) == 2 and said.stop == "tool_use"
        assert said.argument_pieces >= 20
        return
    question = Turn("user", "Call the tool with 1")
    said = probe.ask(turns=[question], stream=True, has_tool=True, must_call=True)
    assert said.failed is None, _words(said)
    assert [call.name for call in said.calls] == ["step"], f"it called {len(said.calls)} tools"
    [call] = said.calls
    assert isinstance(call.arguments.get("k"), int), "the arguments are not those of the tool"
    assert said.stop == "tool_use", f"it stopped for {said.stop!r}"
    assert said.argument_pieces >= 1, "the arguments did not stream"
    answered = [question, Turn("model", calls=said.calls), Turn("tool", "done", call=call.id)]
    said = probe.ask(turns=answered, stream=True, has_tool=True)
    assert said.failed is None, _words(said)


def structured(probe: Probe) -> None:
    """An answer that is held to a schema."""
    for is_stream in (False, True) if probe.is_simulated else (False,):
        said = probe.ask("tokens9", stream=is_stream, schema=CITY, max_tokens=48)
        assert said.failed is None, _words(said)
        assert _is_city(said.text), "the answer is not what the schema allows"


def images(probe: Probe) -> None:
    """Pictures by URL and as data."""
    turns = [Turn("user", "What is this", images=(PIXEL, PICTURE) if probe.is_simulated else (PIXEL,))]
    said = probe.ask("echo", turns)
    assert said.failed is None, _words(said)
    if probe.is_simulated:
        assert said.text.endswith(f"[image image/png {len(PIXEL.partition(',')[2])}]\n[image {PICTURE}]")
    elif probe.provider.backend == "katan":
        assert "image" in said.text, "the picture did not arrive"


def errors(probe: Probe) -> None:
    """The classes that callers catch, each with its status and an id."""
    if not probe.is_direct:
        stranger = replace(probe.server, key="another-key-0123456789")
        _is_failed(probe.client.ask(stranger, probe.asked()), "AuthenticationError", 401)
        nobody = probe.client.ask(probe.server, msgspec.structs.replace(probe.asked(), model="nonesuch"))
        _is_failed(nobody, "NotFoundError", 404)
    if probe.provider.backend == "llama":
        said = probe.ask(turns=[Turn("user", "one two three four " * 1500)])
        _is_failed(said, "BadRequestError", 400)
    if probe.is_simulated:
        for number, (status, kind) in enumerate(STATUSES.items()):
            said = probe.ask(f"error{status}", stream=number % 2 == 0)
            _is_failed(said, kind, status)
        # Without the gateway a client may take an answer for whole that is not, or see the connection break.
        for fault in ("fail_after3",) if probe.is_direct else ("fail_after3", "cut_after3", "end_after3"):
            said = probe.ask(f"tokens9-{fault}", stream=True, alone=True)
            assert said.failed is not None and said.pieces == 3, f"{fault} does not show"
            assert said.failed.kind in BROKEN, _words(said)


def timeouts(probe: Probe) -> None:
    """The client's clock runs out, and the provider is left; and the gateway's does, and says so."""
    if probe.is_simulated:
        model = probe.provider.model("stall_head")
        before = probe.leavers(probe.provider, model)
        said = probe.ask("stall_head", alone=True, timeout_s=0.1)
        assert said.failed is not None and said.failed.kind in TIMEOUTS, _words(said)
        probe.wait_until_left(probe.provider, model, before)
        expected = probe.ask("error504", stream=True).failed
        said = probe.ask("stall_head-tokens1", alone=True, stream=True)
        assert expected is not None
        _is_failed(said, expected.kind, 504)
        return
    timeout_s = 0.012 if probe.provider.backend == "katan" else 0.05
    said = probe.ask(turns=[STORY], alone=True, timeout_s=timeout_s, max_tokens=60)
    assert said.failed is not None and said.failed.kind in TIMEOUTS, _words(said)


def cancellation(probe: Probe) -> None:
    """The client leaves a stream, and the provider is left."""
    model = probe.provider.model("tokens1000-rate20")
    before = probe.leavers(probe.provider, model)
    said = probe.ask("tokens1000-rate20", [STORY], alone=True, stream=True, leaves=True, max_tokens=400)
    assert said.failed is None and said.pieces == 1, _words(said)
    probe.wait_until_left(probe.provider, model, before)


CHECKS: Final[Mapping[str, Callable[[Probe], None]]] = MappingProxyType(
    {
        "chat": chat,
        "stream": stream,
        "async": at_once,
        "tools": tools,
        "structured": structured,
        "images": images,
        "errors": errors,
        "timeouts": timeouts,
        "cancellation": cancellation,
    }
)


def _script(probe: Probe, turns: int) -> None:
    conversation = [Turn("user", "Take all steps")]
    for k in range(1, turns + 1):
        said = probe.ask(f"script{turns}", conversation, stream=True, has_tool=True)
        assert [(call.name, call.arguments) for call in said.calls] == [("step", {"k": k})], _words(said)
        conversation += [
            Turn("model", said.text, calls=said.calls),
            Turn("tool", f"step {k} is done", call=said.calls[0].id),
        ]
    said = probe.ask(f"script{turns}", conversation, stream=True, has_tool=True)
    assert said.text and not said.calls and said.stop == "end"


def _is_text(said: Said) -> None:
    assert said.failed is None, _words(said)
    assert said.text, "there is no text"
    assert said.stop in ("end", "length"), f"it stopped for {said.stop!r}"
    assert said.output_tokens >= 1 and said.input_tokens >= 1, "usage is missing"


def _is_failed(said: Said, kind: str, status: int) -> None:
    assert said.failed is not None, "nothing failed"
    assert said.failed.status == status, _words(said)
    assert said.failed.has_request_id, "the error names no request"
    # `anthropic` for Python has finer classes below InternalServerError than the other packages.
    if kind != "InternalServerError":
        assert said.failed.kind == kind, _words(said)


def _is_city(text: str) -> bool:
    try:
        return bool(json.loads(text)["city"] in ("Rome", "Oslo"))
    except (ValueError, KeyError, TypeError):
        return False


def _words(said: Said) -> str:
    if said.failed is None:
        return f"it stopped for {said.stop!r}"
    status = "" if said.failed.status is None else f" {said.failed.status}"
    return f"{said.failed.kind}{status}: {said.failed.message.partition(chr(10))[0][:100] or 'without words'}"
