"""Requests for a provider that speaks the dialect."""

import json
from typing import Any

from gateway.dialects import anthropic_messages as dialect


def raw(**fields: Any) -> bytes:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]} | fields
    return json.dumps(body, ensure_ascii=False).encode()


def test_bytes_pass_but_for_the_name_of_the_model() -> None:
    body = raw(stream=True, x=1.50)
    request = dialect.decode_request(body)
    assert dialect.encode_request(request, "m") is request.raw
    sent = dialect.encode_request(request, 'o"')
    assert json.loads(sent) == json.loads(body) | {"model": 'o"'} and b"1.5" in sent
