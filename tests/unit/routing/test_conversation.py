"""What keeps requests together: a conversation that is named, or begins alike; a tenant; a header."""

import json
from typing import Any

import pytest

from gateway import dialects
from gateway.core.exchange import Exchange, Principal, RequestId, Timeline
from gateway.routing.conversation import ID_HEADER, MAX_ID_CHARS, affinity, conversation

SYSTEM = {"role": "system", "content": "be brief"}
FIRST = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
SECOND = {"role": "user", "content": "and now?"}


def asked(
    messages: list[dict[str, Any]] | None = None,
    tenant: str = "acme",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Exchange:
    exchange = Exchange(
        RequestId("r"), 1, "POST", "/v1/chat/completions", headers or {}, Timeline(lambda: 0.0), Principal(tenant)
    )
    body = {"model": "m", "messages": messages or [FIRST], **more}
    exchange.request = dialects.DEFAULT.decode_request(json.dumps(body).encode())
    return exchange


def test_turns_of_one_conversation_belong_together() -> None:
    turns = ([SYSTEM, FIRST], [SYSTEM, FIRST, ANSWER, SECOND], [SYSTEM, FIRST, ANSWER, SECOND, ANSWER, FIRST])
    assert len({conversation(asked(messages)) for messages in turns}) == 1


@pytest.mark.parametrize(
    "other",
    [
        asked([SYSTEM, SECOND]),
        asked([FIRST]),
        asked([{"role": "system", "content": "be long"}, FIRST]),
        asked([SYSTEM, FIRST], tenant="other"),
        asked([SYSTEM, ANSWER, FIRST]),
    ],
    ids=["first turn", "no system prompt", "system prompt", "tenant", "what comes before the first turn"],
)
def test_conversations_differ_by(other: Exchange) -> None:
    assert conversation(other) != conversation(asked([SYSTEM, FIRST]))


@pytest.mark.parametrize(
    "said",
    [
        {"headers": {ID_HEADER: "c-1"}},
        {"prompt_cache_key": "c-1"},
        {"conversation": "c-1"},
        {"metadata": {"conversation_id": "c-1"}},
        {"metadata": {"session_id": "c-1", "user_id": "u"}},
        {"metadata": {"user_id": "c-1"}},
    ],
    ids=str,
)
def test_what_the_client_says_holds_whatever_the_turns(said: dict[str, Any]) -> None:
    one, other = asked([FIRST], **said), asked([SECOND], **said)
    assert conversation(one) == conversation(other) == conversation(asked(headers={ID_HEADER: "c-1"}))
    assert conversation(one) != conversation(asked([FIRST], tenant="other", **said))


def test_the_header_comes_before_the_body() -> None:
    exchange = asked(headers={ID_HEADER: "c-1"}, prompt_cache_key="c-2")
    assert conversation(exchange) == conversation(asked(headers={ID_HEADER: "c-1"}))


@pytest.mark.parametrize(
    "odd",
    [
        {"prompt_cache_key": 7},
        {"prompt_cache_key": ""},
        {"conversation": {"id": ["exchange"]}},
        {"metadata": "text"},
        {"metadata": None},
        {"metadata": {"conversation_id": None}},
        {"metadata": {"conversation_id": {"a": 1}}},
        {"metadata": {}},
    ],
    ids=str,
)
def test_what_is_said_oddly_is_not_said(odd: dict[str, Any]) -> None:
    assert conversation(asked(**odd)) == conversation(asked())


def test_only_the_beginning_of_a_long_id_is_looked_at() -> None:
    long = "x" * MAX_ID_CHARS
    assert conversation(asked(prompt_cache_key=long + "a")) == conversation(asked(prompt_cache_key=long + "b"))
    assert conversation(asked(prompt_cache_key=long[1:] + "a")) != conversation(asked(prompt_cache_key=long[1:] + "b"))


def test_an_id_of_bytes_that_are_no_text_is_taken_as_it_is() -> None:
    assert conversation(asked(headers={ID_HEADER: "\udcff"})) != conversation(asked(headers={ID_HEADER: "\udcfe"}))


def test_parts_can_t_be_shifted_into_each_other() -> None:
    """A said id never meets an opening, nor a tenant's name an id."""
    opening = conversation(asked([FIRST]))
    assert conversation(asked(headers={ID_HEADER: json.dumps(FIRST)}, tenant="acme2")) != opening
    one = asked(headers={ID_HEADER: "bc"}, tenant="a")
    other = asked(headers={ID_HEADER: "c"}, tenant="ab")
    assert conversation(one) != conversation(other)


def test_by_tenant_and_by_header() -> None:
    exchange = asked(headers={"x-team": "red"})
    assert affinity(exchange, "tenant") == "acme"
    assert affinity(exchange, "header:x-team") == affinity(asked([SECOND], headers={"x-team": "red"}), "header:x-team")
    assert affinity(exchange, "header:x-team") != affinity(
        asked(headers={"x-team": "red"}, tenant="other"), "header:x-team"
    )
    assert affinity(exchange, "header:x-other") == ""
    assert affinity(exchange, "conversation") == conversation(exchange)


def test_names_of_tenants_can_t_be_shifted_into_headers() -> None:
    """Both may hold a slash."""
    one = affinity(asked(headers={"x-team": "b/c"}, tenant="a"), "header:x-team")
    assert one != affinity(asked(headers={"x-team": "c"}, tenant="a/b"), "header:x-team")


def test_without_tenants_by_tenant_keeps_nothing_together() -> None:
    assert affinity(asked(tenant=""), "tenant") == ""


def test_a_long_header_is_cut() -> None:
    assert len(affinity(asked(headers={"x-team": "y" * 5000}), "header:x-team")) <= MAX_ID_CHARS + len("acme") + 1
