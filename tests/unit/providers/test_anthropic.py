from typing import Any

import pytest

from gateway.config.spec import ProviderSpec
from gateway.core.secret import Secret
from gateway.dialects import BY_NAME
from gateway.providers.anthropic import VERSION, Anthropic
from tests.support.replay import load_config


def provider(url: str = "https://api.anthropic.com", **more: Any) -> Anthropic:
    return Anthropic(ProviderSpec(**{"name": "p", "kind": "anthropic", "url": url, **more}))


@pytest.mark.parametrize("url", ["https://api.anthropic.com", "https://api.anthropic.com/v1", "https://x.test/a/v1/"])
def test_a_url_with_or_without_its_version_leads_to_messages(url: str) -> None:
    line = provider(url).request_head(BY_NAME[Anthropic.DIALECTS[0]].PATH).partition(b"\r\n")[0]
    assert line in (b"POST /v1/messages HTTP/1.1", b"POST /a/v1/messages HTTP/1.1")


def test_the_key_goes_where_this_kind_looks_for_it() -> None:
    text = """
version: 1
providers: {a: {kind: anthropic, key: "${KEY}"}, b: {kind: anthropic, key: "${KEY}", auth: bearer}}
models: {m: {provider: a, price: {input: 0, output: 0}}, n: {provider: b, price: {input: 0, output: 0}}}
routes: [{name: r, match: [m, n], to: requested}]
"""
    specs = {one.name: one for one in load_config(text, {"KEY": "k-1"}).spec.providers.values()}
    assert b"\r\nx-api-key: k-1\r\n" in Anthropic(specs["a"]).request_head("/")
    assert b"\r\nauthorization: Bearer k-1\r\n" in Anthropic(specs["b"]).request_head("/")
    assert specs["a"].url == "https://api.anthropic.com"


def test_the_version_is_sent_once_and_the_client_may_choose_it() -> None:
    free = provider(key=Secret("k"))
    assert b"anthropic-version" not in free.request_head("/")
    assert free.client_headers["anthropic-version"] == VERSION
    fixed = provider(headers={"Anthropic-Version": "2026-10-21"})
    assert b"\r\nanthropic-version: 2026-10-21\r\n" in fixed.request_head("/")
    assert "anthropic-version" not in fixed.client_headers
    assert fixed.client_headers["anthropic-beta"] == ""
