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
    ModelGone,
    QuotaUsedUp,
    Rejected,
    Transient,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.faults import Fault
from gateway.core.provider_error import BODY_LIMIT
from gateway.providers.error_body import COMMON_PATTERNS
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
        (
            400,
            {"base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit (2013)"}},
        ),
        (400, {"code": "x", "error": "This model's maximum prompt length is 131072 but the request contains 537812"}),
        (400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192", "type": "x"}}),
        (
            400,
            {
                "object": "error",
                "message": "The input (9 tokens) is longer than the model's context length (8 tokens).",
            },
        ),
        (400, {"error": {"code": "1261", "message": "Prompt 超长"}}),
        (400, {"error": {"code": 1261, "message": "odd"}}),
        (400, {"error": {"message": "Range of input length should be [1, 30720]", "code": "InvalidParameter"}}),
        (400, {"detail": [{"loc": ["body"], "msg": "prompt token count of 9 exceeds the limit of 8"}]}),
        (400, b"input length exceeds the context length"),
        (
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "metadata": {"raw": json.dumps({"error": {"message": TOO_LONG}})},
                }
            },
        ),
        (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"}),
    ],
)
def test_a_request_that_is_too_long_for_the_model_may_fit_a_bigger_one(status: int, document: Any) -> None:
    error = fault(status, document)
    assert type(error) is ContextTooLong and error.fault is Fault.CONTEXT_LENGTH
    assert (error.http_status, error.upstream_status) == (status, status)
    assert isinstance(document, bytes) or json.loads(error.body) == document
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
    ("status", "document"),
    [
        (
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to"},
            },
        ),
        (402, {"type": "error", "error": {"type": "billing_error", "message": "pay"}}),
        (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}),
        (402, {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}}),
        (402, b""),
        (400, {"error": {"code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached"}}),
        (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
        (400, {"error": {"code": "insufficient_quota"}}),
        (
            403,
            {
                "code": "x",
                "error": "Your team has either used all available credits or reached its monthly spending limit.",
            },
        ),
        (403, {"error": {"code": "insufficient_user_quota", "type": "new_api_error", "message": "no"}}),
        (429, {"error": {"code": "1113", "message": "odd"}}),
        (500, {"error": {"message": "Insufficient account balance"}}),
        (412, {"error": {"message": "insufficient credits"}}),
    ],
)
def test_an_account_without_money_is_no_fault_of_the_client_whatever_the_status(status: int, document: Any) -> None:
    error = fault(status, document)
    assert type(error) is QuotaUsedUp and error.fault is Fault.QUOTA
    assert (error.http_status, error.upstream_status, error.should_retry) == (429, status, False)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                        "details": [{"@type": "x/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
                    }
                }
            ],
        ),
        (400, {"error": {"code": 400, "message": "API key expired. Please renew the API key."}}),
        (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: ab***."}),
        (400, {"error": {"code": "invalid_api_key", "message": "no"}}),
        (422, {"detail": "Invalid API key"}),
        (400, b"Missing or invalid Authorization header."),
    ],
)
def test_a_bad_key_is_a_bad_key_whatever_the_status(status: int, document: Any) -> None:
    error = fault(status, document)
    assert type(error) is CredentialRefused and error.http_status == 502
    assert "ab***" not in error.message


def test_what_a_client_makes_a_provider_repeat_refuses_no_key() -> None:
    echo = {"error": {"message": "Invalid value: 'API key not valid' for 'stop'", "code": None}}
    assert type(fault(400, echo)) is Rejected


GONE = [
    (404, {"error": {"code": "model_not_found", "message": "The model `m` does not exist or you do not have access"}}),
    (403, {"error": {"code": "model_not_found", "message": "Project `proj_x` does not have access to model `m`"}}),
    (404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-2"}}),
    (400, {"error": {"code": "model_decommissioned", "message": "The model `m` has been decommissioned"}}),
    (404, {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404}),
    (404, {"error": 'model "m" not found, try pulling it first'}),
    (400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error", "code": "invalid_request_error"}}),
    (404, {"error": {"message": "No endpoints found for x/m.", "code": 404}}),
    (404, [{"error": {"code": 404, "message": "models/m is not found for API version v1main", "status": "NOT_FOUND"}}]),
    (410, {"error": {"message": "The model m is no longer available."}}),
]


@pytest.mark.parametrize(("status", "document"), GONE)
def test_a_model_that_is_gone_is_the_configurations_fault_where_that_named_it(status: int, document: Any) -> None:
    body = json.dumps(document).encode()
    error = PROVIDER.classify_error(status, JSON, body, names_model=True)
    assert type(error) is ModelGone and error.fault is Fault.MODEL_GONE
    assert (error.http_status, error.upstream_status, error.error_code) == (502, status, "upstream_model_not_found")
    assert error.is_retryable and not error.hurts_breaker
    if status != 403:
        theirs = PROVIDER.classify_error(status, JSON, body)
        assert type(theirs) is Rejected and theirs.http_status == status


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (404, {"error": {"message": "No such File object: file-1", "code": None}}),
        (404, {"detail": "Not Found"}),
        (400, {"error": {"message": "Invalid value for 'model_options'", "code": "invalid_value"}}),
        (
            404,
            {"error": {"message": "Previous response with id 'r' not found.", "code": "previous_response_not_found"}},
        ),
    ],
)
def test_another_404_is_as_it_was(status: int, document: Any) -> None:
    assert type(PROVIDER.classify_error(status, JSON, json.dumps(document).encode(), names_model=True)) is Rejected


@pytest.mark.parametrize("status", [408, 409, 425])
def test_what_passes_by_itself_is_tried_again_and_hurts_no_breaker(status: int) -> None:
    error = fault(status, {"error": {"message": "locked"}}, {b"retry-after": b"2"})
    assert type(error) is Transient and error.fault is Fault.TRANSIENT
    assert (error.http_status, error.retry_after_s, error.is_retryable, error.hurts_breaker) == (
        status,
        2.0,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("status", "header", "kind", "should_retry"),
    [
        (400, b"true", Transient, True),
        (404, b"True", Transient, True),
        (400, b"false", Rejected, False),
        (409, b"false", Transient, False),
        (429, b"false", UpstreamRateLimited, False),
        (500, b"false", Unavailable, False),
        (503, b"true", Unavailable, True),
        (401, b"true", CredentialRefused, True),
        (400, b"perhaps", Rejected, None),
    ],
)
def test_x_should_retry_is_heard(
    status: int, header: bytes, kind: type[UpstreamError], should_retry: bool | None
) -> None:
    error = fault(status, {"error": {"message": "no"}}, {b"x-should-retry": header})
    assert (type(error), error.should_retry) == (kind, should_retry)


@pytest.mark.parametrize(
    ("status", "document", "message"),
    [
        (429, {"error": {"message": "Rate limit reached for m on tokens per min"}}, "Rate limit reached for m on tokens per min"),
        (503, {"error": {"message": "The engine is\n currently overloaded"}}, "The engine is currently overloaded"),
        (500, {"detail": "boom at 10.0.0.1:8000"}, "boom at …"),
        (502, b"upstream connect error", "upstream connect error"),
        (500, {"error": {"message": "no file /srv/models/x/config.json"}}, "no file …"),
        (500, {"error": {"message": "bad\nTraceback (most recent call last):\n  File x"}}, "bad"),
        (429, {"error": {"message": "Limit in organization org-abc123def on see https://x.example/y now"}},
         "Limit in organization … on see … now"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "x" * 400}}, "x" * 299 + "…"),
        (500, {"error": {"message": "key AIzaSyabcdefghijkl is bad"}}, "key … is bad"),
        (500, {"error": {"message": "key sk-abcdefghijklmnop1234567890 is bad"}}, "key sk-*** is bad"),
    ],
)  # fmt: skip
def test_the_providers_words_are_in_the_message_and_for_the_log_redacted_and_cut(
    status: int, document: Any, message: str
) -> None:
    error = fault(status, document)
    assert error.message.partition(": ")[2] == message == error.provider_words


@pytest.mark.parametrize("document", [b"<html>504 Gateway Time-out</html>", b"", {}, {"ok": True}, b"\xff\xfe", b"[]"])
def test_without_words_there_are_none(document: Any) -> None:
    error = fault(503, document)
    assert (error.message, error.provider_words) == ("the provider answered 503", "")


def test_the_words_of_a_rejection_stand_in_for_a_body_that_cant_be_sent_and_are_not_for_the_log() -> None:
    error = PROVIDER.classify_error(400, {b"content-type": b"text/plain"}, b"no tools here")
    assert (error.message, error.error_code) == (
        "the provider rejected the request: no tools here",
        "upstream_rejected",
    )
    assert error.provider_words == ""


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
