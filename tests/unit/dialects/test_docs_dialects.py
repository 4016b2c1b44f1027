"""docs/dialects.md: the code translates every row of the tables as written."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects import anthropic_messages, openai_chat
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge

PAGE: Final = (Path(__file__).parents[3] / "docs/dialects.md").read_text()
ROW: Final = re.compile(r"^\| `(\{.*\})` \| (?:`(\{.*\})`|(left out)|refused: `([^`]+)`) \|$", re.MULTILINE)
BASE: Final = {"messages": [{"role": "user", "content": "x"}]}


def rows(heading: str) -> list[Any]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    found = [match.groups() for match in map(ROW.match, lines) if match]
    assert len(found) == len(lines) > 20, "every line can be read"
    return [pytest.param(*row, id=f"{number}-{row[0][:60]}") for number, row in enumerate(found)]


def check(client: Dialect, provider: Dialect, sent: str, becomes: str, left_out: str, refused: str) -> None:
    given = {"model": "other", **BASE, **json.loads(sent)}
    if client is anthropic_messages:
        given.setdefault("max_tokens", 99)
    request = client.decode_request(json.dumps(given).encode())
    between = bridge(client, provider)
    plain = {key: value for key, value in given.items() if key in ("model", "messages", "max_tokens")}
    if refused:
        with pytest.raises(InvalidRequest) as caught:
            between.encode_request(request, request.model)
        assert (caught.value.param, caught.value.error_code) == (refused, "unsupported_parameter")
        assert refused in caught.value.message and caught.value.http_status == 400
        return
    got = json.loads(between.encode_request(request, request.model))
    without = client.decode_request(json.dumps(plain).encode())
    if left_out:
        assert got == json.loads(between.encode_request(without, request.model))
    else:
        expected = json.loads(becomes)
        assert {key: got.get(key) for key in expected} == expected


@pytest.mark.parametrize(("sent", "becomes", "left_out", "refused"), rows("From chat completions to messages"))
def test_a_chat_completion_becomes_messages(sent: str, becomes: str, left_out: str, refused: str) -> None:
    check(openai_chat, anthropic_messages, sent, becomes, left_out, refused)


@pytest.mark.parametrize(("sent", "becomes", "left_out", "refused"), rows("From messages to chat completions"))
def test_messages_become_a_chat_completion(sent: str, becomes: str, left_out: str, refused: str) -> None:
    check(anthropic_messages, openai_chat, sent, becomes, left_out, refused)


PARAMETERS = [
    row.values[3]
    for row in rows("From chat completions to messages")
    if row.values[3] and "[" not in row.values[3] and row.values[3] != "tool_choice"
]


def test_parameters_are_left_out_where_the_configuration_says_so() -> None:
    for row in rows("From chat completions to messages"):
        sent, _, _, refused = row.values
        if refused in PARAMETERS:
            given = {"model": "claude-sonnet-4-5", **BASE, **json.loads(sent)}
            request = openai_chat.decode_request(json.dumps(given).encode())
            body = bridge(openai_chat, anthropic_messages).encode_request(request, request.model, drops_params=True)
            assert json.loads(body).keys() <= {"model", "messages", "max_tokens", "thinking"}
