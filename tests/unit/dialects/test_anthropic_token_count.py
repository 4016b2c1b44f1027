"""Counts of tokens as a dialect."""

import json

import pytest
from anthropic.types import MessageTokensCount

from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import BY_NAME, BY_PATH, ESTIMATED, anthropic_messages
from gateway.dialects.anthropic_messages import token_count as dialect
from gateway.dialects.bridge import can_translate

BODY = {"model": "m", "messages": [{"role": "user", "content": "How long is this?"}], "tools": [{"name": "t"}]}


def test_it_is_a_dialect_whose_questions_can_be_answered_here() -> None:
    assert BY_NAME["anthropic_token_count"] is BY_PATH["/v1/messages/count_tokens"] is dialect
    assert ESTIMATED[dialect.PATH] is dialect
    assert not can_translate(dialect, anthropic_messages)
    assert not can_translate(anthropic_messages, dialect)


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_a_request_is_one_for_messages_that_needs_no_bound_and_is_not_streamed(more: dict[str, bool]) -> None:
    raw = json.dumps({**BODY, **more}).encode()
    request = dialect.decode_request(raw)
    assert (request.path, request.model, request.stream, request.tools) == (dialect.PATH, "m", False, 1)
    assert request.tokens == anthropic_messages.decode_request(raw).tokens
    assert dialect.encode_request(request, "m") is raw
    assert json.loads(dialect.encode_request(request, "other")) == {**BODY, **more, "model": "other"}


def test_a_request_that_is_none_is_refused_by_the_name_of_the_field() -> None:
    with pytest.raises(InvalidRequest) as raised:
        dialect.decode_request(b'{"model": "m"}')
    assert raised.value.param == "messages"


def test_an_answer_holds_a_number_and_has_used_nothing() -> None:
    assert dialect.read_answer(b'{"input_tokens": 12, "context_management": {}}') == Usage()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type": "error", "error": {}}', Unavailable),
        (b"{}", ProtocolError),
        (b'{"input_tokens": "many"}', ProtocolError),
        (b"<html>", ProtocolError),
        (b"[" * 100_000, ProtocolError),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        dialect.read_answer(body)


def test_nothing_is_streamed() -> None:
    with pytest.raises(ProtocolError):
        dialect.read_stream(Meter(), hides_usage=False, choices=1)


def test_our_own_answer_is_read_by_the_official_client_s_type() -> None:
    assert MessageTokensCount.model_validate_json(dialect.encode_estimate(12)).input_tokens == 12
