"""Whatever a request holds, it is translated or refused: never an accident."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge

KINDS = """
text image image_url tool_use tool_result thinking redacted_thinking document file base64 url function auto any
json_schema json_object enabled user assistant tool system developer data:image/png;base64,AA== {} [ €
"""
NAMES = """
type text role content source input name id data url image_url file function arguments tool_calls tool_use_id
tool_call_id thinking signature format schema effort json_schema parameters input_schema budget_tokens user_id
media_type thinking_blocks title refusal reasoning is_error strict disable_parallel_tool_use file_data citations
"""
PARAMETERS = """
tools tool_choice system thinking output_config output_format response_format stop user stop_sequences metadata
service_tier reasoning_effort temperature top_k logit_bias odd logprobs truncation best_of suffix echo include
reasoning text store instructions parallel_tool_calls max_tokens max_output_tokens n
"""
WORDS = st.sampled_from([*KINDS.split(), "", "\x00", "\ud800"])
MEMBERS = st.sampled_from(NAMES.split())
VALUES = st.recursive(
    WORDS | st.sampled_from([None, True, False, 0, 1, -1, 1.5, 2**70, float("inf")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": WORDS, "content": VALUES}, optional={"tool_calls": VALUES, "tool_call_id": WORDS}),
    max_size=3,
)
FIELDS = st.dictionaries(st.sampled_from(PARAMETERS.split()), VALUES, max_size=4)


CLIENTS = {
    openai_chat: "messages",
    anthropic_messages: "messages",
    openai_responses: "input",
    openai_completions: "prompt",
}
PAIRS = [
    (one, other) for one in CLIENTS for other in (openai_chat, anthropic_messages, openai_responses) if one is not other
]


@pytest.mark.parametrize(("client", "provider"), PAIRS, ids=[f"{one.NAME}-{other.NAME}" for one, other in PAIRS])
@settings(max_examples=100)
@given(messages=MESSAGES, fields=FIELDS, drops=st.booleans())
def test_any_request_is_translated_or_refused(
    client: Dialect, provider: Dialect, messages: Any, fields: dict[str, Any], drops: bool
) -> None:
    stated = {CLIENTS[client]: messages or "hi"} | ({"max_tokens": 5} if client is anthropic_messages else {})
    body = json.dumps({"model": "m", **stated, **fields}).replace("Infinity", "1e999").encode()
    try:
        request = client.decode_request(body)
        sent = bridge(client, provider).encode_request(request, "m", drops_params=drops)
    except InvalidRequest as error:
        assert error.http_status == 400
    else:
        if json.loads(sent).get("messages") != []:  # all were empty: the provider refuses that, as our reader does
            assert provider.decode_request(sent).model == "m"
