"""What the body of a refusal adds to its status, in the shapes and words of the vendors."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.spec import ProviderSpec
from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    QuotaUsedUp,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.faults import Fault
from gateway.providers.error_body import BODY_LIMIT, COMMON_PATTERNS
from gateway.providers.openai import OpenAI

JSON = {b"content-type": b"application/json"}
PROVIDER = OpenAI(ProviderSpec("p", "openai", "https://api.example.com/v1"))
TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"
FLAGGED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."


def fault(status: int, document: Any, headers: dict[bytes, bytes] | None = None) -> UpstreamError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return PROVIDER.classify_error(status, JSON | (headers or {}), body)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, {"error": {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "no"}}),
        (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "no", "n_ctx": 4096}}),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 208310 > 2"}},
        ),
        (
            400,
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "input length and `max_tokens` exceed context limit",
                }
            },
        ),
        (400, {"object": "error", "message": TOO_LONG, "type": "BadRequestError", "param": None, "code": 400}),
        (400, {"error": {"message": TOO_LONG, "type": "BadRequestError", "param": None, "code": 400}}),
        (
            400,
            {"error": {"message": "The decoder prompt is longer than the maximum model length of 4096", "code": 400}},
        ),
        (400, [{"error": {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens"}}]),
        (400, {"message": "Input is too long for requested model."}),
        (400, {"detail": "the prompt exceeds the available context size"}),
        (413, {"error": {"code": "context_length_exceeded"}}),
        (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"}),
    ],
)
def test_a_request_that_is_too_long_for_the_model_may_fit_a_bigger_one(status: int, document: Any) -> None:
    error = fault(status, document)
    assert type(error) is ContextTooLong and error.fault is Fault.CONTEXT_LENGTH
    assert (error.http_status, error.upstream_status, json.loads(error.body)) == (status, status, document)
    assert not error.is_retryable and not error.hurts_breaker


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, {"error": {"code": "content_filter", "status": 400, "message": FLAGGED}}),
        (400, {"error": {"code": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "no"}}),
        (400, {"error": {"code": None, "type": None, "message": FLAGGED}}),
        (400, {"error": {"code": "content_policy_violation", "type": "invalid_request_error"}}),
        (400, {"type": "error", "error": {"type": "x", "message": "Output blocked by content filtering policy"}}),
        (400, {"error": {"code": "invalid_prompt", "message": "flagged as potentially violating our usage policy."}}),
        (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error", "code": "invalid"}}),
        (400, {"code": "DataInspectionFailed", "message": "no"}),
        (403, {"error": {"code": 403, "message": "requires moderation. Your input was flagged for 'x'"}}),
        (422, {"error": {"code": "moderation_blocked"}}),
    ],
)
def test_a_policy_that_refuses_the_content_is_told_apart(status: int, document: Any) -> None:
    error = fault(status, document)
    assert type(error) is ContentRefused and error.fault is Fault.CONTENT_POLICY
    assert (error.http_status, json.loads(error.body)) == (status, document)
    assert not error.is_retryable and not error.hurts_breaker


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": "insufficient_quota", "type": "insufficient_quota", "message": "no"}},
        {"error": {"code": None, "type": "insufficient_quota", "message": "no"}},
        {"error": {"code": "billing_hard_limit_reached"}},
        {"error": {"code": "billing_not_active"}},
        {"error": {"type": "exceeded_current_quota_error"}},
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Your credit balance is too low"}},
        {"error": "Insufficient balance"},
    ],
)
def test_a_quota_that_is_used_up_is_no_rate_limit(document: Any) -> None:
    error = fault(429, document, {b"retry-after": b"1"})
    assert type(error) is QuotaUsedUp and error.fault is Fault.QUOTA
    assert (error.http_status, error.error_code, error.retry_after_s) == (429, "upstream_quota_used_up", None)
    assert error.is_retryable and not error.hurts_breaker


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": "rate_limit_exceeded", "type": "tokens", "message": "Rate limit reached"}},
        {"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}},
        {"error": {"code": "context_length_exceeded"}},
        {"error": {"code": "content_filter"}},
        b"<html>",
        b"",
    ],
)
def test_any_other_429_is_a_rate_limit(document: Any) -> None:
    error = fault(429, document, {b"retry-after": b"7"})
    assert type(error) is UpstreamRateLimited and error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (400, {"error": {"code": "insufficient_quota"}}, Rejected),
        (402, {"error": {"code": "insufficient_quota", "message": "Insufficient balance"}}, Rejected),
        (404, {"error": {"code": "context_length_exceeded"}}, Rejected),
        (401, {"error": {"code": "content_filter"}}, CredentialRefused),
        (403, {"error": {"code": "context_length_exceeded"}}, CredentialRefused),
        (403, {"error": {"type": "permission_error", "message": "no"}}, CredentialRefused),
        (413, {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}, Rejected),
        (500, {"error": {"message": TOO_LONG}}, Unavailable),
        (400, {"error": {"message": "max_tokens is too large: 100000. This model supports at most 16384"}}, Rejected),
    ],
)
def test_words_count_only_under_the_statuses_that_they_go_with(
    status: int, document: Any, kind: type[UpstreamError]
) -> None:
    assert type(fault(status, document)) is kind


def test_a_code_decides_before_a_message_that_may_repeat_the_client() -> None:
    echo = f"unknown role in 'you said: {FLAGGED} and {TOO_LONG}'"
    assert type(fault(400, {"error": {"code": "context_length_exceeded", "message": FLAGGED}})) is ContextTooLong
    assert type(fault(400, {"error": {"code": None, "message": "x" * 1000 + echo}})) is Rejected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[[]]",
        b'"context_length_exceeded"',
        b'{"error": null}',
        b'{"error": {"code": ["context_length_exceeded"], "message": {"a": 1}}}',
        b'{"error": {"innererror": "content_filter", "code": 1.5}}',
        b"[" * 100_000,
        b'{"error":' * 20_000,
        b'{"error": {"code": "\xff"}}',
        json.dumps({"error": {"code": "context_length_exceeded", "pad": "x" * BODY_LIMIT}}).encode(),
    ],
)
def test_a_body_that_says_nothing_that_is_understood_leaves_it_to_the_status(body: bytes) -> None:
    assert type(fault(400, body)) is Rejected


@given(
    st.integers(200, 999),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["error", "code", "message", "innererror"]), inner)
        ),
    ),
)
def test_no_body_is_too_odd(status: int, document: Any) -> None:
    error = fault(status, document)
    assert error.upstream_status == status and error.fault in Fault


class Terse(OpenAI):
    """A kind whose vendor says it in words of its own."""

    error_patterns = replace(COMMON_PATTERNS, codes={"e-17": "context_length"})


def test_a_kind_may_have_words_of_its_own() -> None:
    own = Terse(ProviderSpec("p", "openai", "https://api.example.com/v1"))
    assert own.classify_error(400, JSON, b'{"code": "E-17"}').fault is Fault.CONTEXT_LENGTH
    assert own.classify_error(400, JSON, b'{"code": "context_length_exceeded"}').fault is Fault.REJECTED
    assert fault(400, {"code": "E-17"}).fault is Fault.REJECTED


def test_a_date_is_read_by_the_clock_that_is_passed_in() -> None:
    headers = {b"retry-after": b"Thu, 01 Jan 1970 00:01:00 GMT"}
    for status in (429, 503):
        assert PROVIDER.classify_error(status, headers, b"", 30.0).retry_after_s == 30.0
        assert PROVIDER.classify_error(status, headers, b"").retry_after_s is None


def test_limits_say_how_long_only_where_they_were_the_reason() -> None:
    headers = {b"x-ratelimit-reset-requests": b"6m0s", b"x-ratelimit-remaining-requests": b"0"}
    assert PROVIDER.classify_error(429, headers, b"").retry_after_s == 360.0
    assert PROVIDER.classify_error(503, headers, b"").retry_after_s is None
