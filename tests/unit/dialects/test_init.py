"""Whose clients ask, and the headers that they go by."""

import pytest

from gateway.dialects import (
    BY_NAME,
    DEFAULT,
    ID_HEADERS,
    VERSION_HEADER,
    anthropic_messages,
    dialect_of,
    id_lines,
    openai_chat,
    openai_responses,
    vendor_of,
)


def test_a_client_shows_whose_it_is_by_the_version_it_asks_for() -> None:
    assert vendor_of({VERSION_HEADER: "2023-06-01"}) == "anthropic"
    assert vendor_of({"authorization": "Bearer k"}) == "openai"


def test_every_dialect_is_of_a_vendor_whose_headers_are_known() -> None:
    assert {dialect.VENDOR for dialect in BY_NAME.values()} == set(ID_HEADERS)


def test_the_id_of_a_request_stands_where_each_vendor_s_clients_look() -> None:
    assert id_lines("openai", "req-{0}") == "x-request-id: req-{0}\r\n"
    assert id_lines("anthropic", "r") == "x-request-id: r\r\nrequest-id: r\r\n"


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/chat/completions", {VERSION_HEADER: "1"}, openai_chat),
        ("/v1/messages", {}, anthropic_messages),
        ("/v1/messages/batches/1", {}, anthropic_messages),
        ("/v1/responses/resp_1", {}, openai_responses),
        ("/v1/messagesx", {}, DEFAULT),
        ("/v1/models", {}, DEFAULT),
        ("/v1/models", {VERSION_HEADER: "1"}, anthropic_messages),
        ("", {}, DEFAULT),
    ],
)
def test_an_error_is_said_in_the_dialect_of_the_path_or_of_the_client(
    path: str, headers: dict[str, str], dialect: object
) -> None:
    assert dialect_of(path, headers) is dialect
