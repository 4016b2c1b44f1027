"""docs/responses.md and docs/completions.md: the code translates every row of the tables as written."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge
from gateway.dialects.openai_responses.conversation_in import STATEFUL

DOCS: Final = Path(__file__).parents[3] / "docs"
ROW: Final = re.compile(r"^\| `(\{.*\})` \| (?:`(\{.*\})`|(left out)|refused: `([^`]+)`) \|$")
CHAT, MESSAGES = openai_chat, anthropic_messages
RESPONSES, COMPLETIONS = openai_responses, openai_completions
LEAST: Final[dict[str, Any]] = {
    CHAT.NAME: {"messages": [{"role": "user", "content": "x"}]},
    MESSAGES.NAME: {"messages": [{"role": "user", "content": "x"}], "max_tokens": 99},
    RESPONSES.NAME: {"input": "x"},
    COMPLETIONS.NAME: {"prompt": "x"},
}
TABLES: Final = (
    ("responses.md", "From responses to chat completions", RESPONSES, CHAT),
    ("responses.md", "From chat completions to responses", CHAT, RESPONSES),
    ("responses.md", "From messages to responses", MESSAGES, RESPONSES),
    ("completions.md", "From completions to chat completions", COMPLETIONS, CHAT),
    ("completions.md", "From chat completions to completions", CHAT, COMPLETIONS),
)


def rows() -> list[Any]:
    found: list[Any] = []
    for page, heading, client, provider in TABLES:
        section = (DOCS / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        matches = [match.groups() for match in map(ROW.match, lines) if match]
        assert len(matches) == len(lines) > 9, "every line can be read"
        found += [pytest.param(client, provider, *row, id=f"{client.NAME}-{row[0][:70]}") for row in matches]
    return found


def body(client: ConversationDialect, provider: ConversationDialect, given: dict[str, Any], **more: Any) -> Any:
    request = client.decode_request(json.dumps({"model": "other", **LEAST[client.NAME], **given}).encode())
    return json.loads(bridge(client, provider).encode_request(request, "m", **more))


@pytest.mark.parametrize(("client", "provider", "sent", "becomes", "left_out", "refused"), rows())
def test_a_request_becomes_what_the_page_says(
    client: ConversationDialect, provider: ConversationDialect, sent: str, becomes: str, left_out: str, refused: str
) -> None:
    given = json.loads(sent)
    if refused:
        with pytest.raises(InvalidRequest) as caught:
            body(client, provider, given)
        assert (caught.value.param, caught.value.error_code) == (refused, "unsupported_parameter")
        assert refused in caught.value.message and caught.value.http_status == 400
    elif left_out:
        assert body(client, provider, given) == body(client, provider, {})
    else:
        expected, got = json.loads(becomes), body(client, provider, given)
        assert {key: got.get(key) for key in expected} == expected


PARAMETERS: Final = [
    row.values
    for row in rows()
    if row.values[5] is not None
    and not re.search(r"\[|tool|^messages$|^prompt$|text\.format|^max_tokens$", row.values[5])
    and row.values[5] not in STATEFUL
]


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: f"{row[0].NAME}-{row[5]}")
def test_parameters_are_left_out_where_the_configuration_says_so(row: Any) -> None:
    client, provider, sent, *_ = row
    got = body(client, provider, json.loads(sent), drops_params=True)
    least = body(client, provider, {})
    assert {key: got.get(key) for key in least} == least


@pytest.mark.parametrize("name", STATEFUL)
@pytest.mark.parametrize("provider", [CHAT, MESSAGES], ids=["chat", "messages"])
def test_what_a_provider_keeps_is_never_left_out(name: str, provider: ConversationDialect) -> None:
    with pytest.raises(InvalidRequest, match=name):
        body(RESPONSES, provider, {name: "x"}, drops_params=True)
