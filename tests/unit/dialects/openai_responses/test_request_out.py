"""Requests for a provider that speaks the dialect."""

from gateway.dialects.openai_responses import decode_request, encode_request


def test_bytes_pass_untouched_but_for_the_models_name() -> None:
    body = b'{ "input" : "x" , "model":"m", "store":true, "odd": 1.50, "previous_response_id":"resp_1" }'
    request = decode_request(body)
    assert encode_request(request, "m") == body
    assert encode_request(request, 'o"') == (
        b'{"input":"x","model":"o\\"","store":true,"odd":1.50,"previous_response_id":"resp_1"}'
    )
