"""The table of headers: it is complete, it has one rule for each case, and the order on the wire follows from it."""

from itertools import product

import pytest

from gateway.config.spec import ProviderSpec, ProxySpec
from gateway.core.secret import Secret
from gateway.providers import header_rules
from gateway.providers.base import KINDS
from gateway.providers.header_policy import (
    FROM_CLIENT_DIALECT,
    TO_CLIENT_DIALECT,
    TO_CLIENT_PASS_THROUGH,
    second_via,
)

RULES = tuple(header_rules())


def test_every_rule_has_a_reason_and_names_one_header() -> None:
    for rule in RULES:
        assert rule.reason and rule.name == rule.name.lower() and " " not in rule.name, rule
        assert rule.default == "" or rule.source == "client", rule
        assert rule.kind == "" or (rule.to, rule.source) == ("provider", "client"), rule
    cases = [(rule.name, rule.to, rule.kind, rule.calls) for rule in RULES]
    assert len(cases) == len(set(cases))


def test_what_a_kind_sends_on_is_listed_under_it() -> None:
    assert {"anthropic-version", "anthropic-beta"} < {rule.name for rule in RULES if rule.kind == "anthropic"}
    assert {rule.name for rule in RULES if rule.kind == "openai"} == {"idempotency-key", "openai-beta"}


@pytest.mark.parametrize(("kind", "auth"), list(product(sorted(KINDS), ["bearer", "x-api-key", "api-key"])))
def test_nothing_reaches_a_provider_that_is_not_in_the_table(kind: str, auth: str) -> None:
    proxy = ProxySpec("proxy.test", 3128, Secret("user:hush"))
    spec = ProviderSpec("p", kind, "http://p.test/v1", Secret("k-1"), auth=auth, proxy=proxy)  # type: ignore[arg-type]
    provider = KINDS[kind](spec)
    listed = {rule.name: rule for rule in RULES if rule.to == "provider" and rule.kind in ("", kind)}
    all_headers = {name: f"of {name}" for name in ("cookie", "x-a", *(rule.name for rule in RULES))}
    heads = {
        "dialect": provider.request_head("/v1/chat/completions"),
        "pass_through": provider.pass_through_head("POST", "/v1/files", all_headers),
    }
    for calls, head in heads.items():
        for line in head.decode().split("\r\n")[1:-1]:
            name, _, value = line.partition(": ")
            rules = [
                rule for rule in RULES if (rule.name, rule.to) == (name, "provider") and rule.calls in ("all", calls)
            ]
            assert name in listed and rules, (calls, line)
            assert (value == f"of {name}") == any(rule.source == "client" for rule in rules), (calls, line)


def test_the_order_on_the_wire_is_that_of_the_table() -> None:
    assert FROM_CLIENT_DIALECT == ("traceparent", "tracestate")
    assert TO_CLIENT_DIALECT == (
        b"openai-processing-ms",
        b"openai-version",
        b"openai-model",
        b"x-gateway-estimated",
    )
    assert (
        b"content-type",
        b"content-disposition",
        b"content-range",
        b"content-encoding",
        b"content-language",
        b"accept-ranges",
        b"etag",
        b"last-modified",
        b"cache-control",
        *TO_CLIENT_DIALECT,
    ) == TO_CLIENT_PASS_THROUGH


def test_a_second_via_marks_a_request_that_has_passed_a_gateway() -> None:
    assert second_via({"via": "1.1 cache, 1.1 LLM-gateway"}) == "via: 1.1 llm-gateway\r\n"
    assert second_via({"via": "1.1 cache"}) == second_via({}) == ""
