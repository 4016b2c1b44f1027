"""Requests for a provider."""

from gateway.dialects.openai_embeddings import decode_request, encode_request


def test_bytes_pass_untouched_where_the_name_is_the_same() -> None:
    body = b'{ "input":["a" ,"\\u00e9"], "model": "m", "odd": 1.50}'
    assert encode_request(decode_request(body), "m") == body


def test_another_name_is_put_in_and_nothing_else_changes() -> None:
    body = b'{"input":["a" ,"\\u00e9"], "model": "m", "odd": 1.50}'
    assert encode_request(decode_request(body), 'n"1') == b'{"input":["a" ,"\\u00e9"],"model":"n\\"1","odd":1.50}'
