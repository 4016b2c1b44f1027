"""Exactly one known credential, or 401."""

import hmac
from hashlib import sha256

import pytest
from multidict import CIMultiDict

from gateway.admission.auth import Auth
from gateway.api.render import error_headers
from gateway.config.spec import TenantSpec
from gateway.core.errors import Unauthenticated
from gateway.core.exchange import ANYBODY, Principal

KEY, OTHER_KEY, ODD_KEY = "key-of-acme", "key-of-umbrella", "schlüssel"
Pairs = list[tuple[str, str]]


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


ACME = Principal("acme", digest(KEY)[:8], {"plan": "paid"}, ("gpt-*",))


@pytest.fixture(scope="module")
def auth() -> Auth:
    tenants = [
        TenantSpec("acme", (digest(KEY), digest(ODD_KEY)), {"plan": "paid"}, ("gpt-*",)),
        TenantSpec("umbrella", (digest(OTHER_KEY),)),
    ]
    return Auth({tenant.name: tenant for tenant in tenants})


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer {KEY}")],
        [("AUTHORIZATION", f"BEARER   {KEY}  ")],
        [("X-API-Key", KEY)],
        [("x-api-key", f" {KEY} ")],
        [("x-api-key", KEY), ("Authorization", f"Bearer {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
    ],
)
def test_a_known_key_identifies_the_principal(auth: Auth, headers: Pairs) -> None:
    assert auth.identify(CIMultiDict(headers)) == ACME


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", KEY)],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", f"Bearer {KEY} {KEY}")],
        [("Authorization", f"Bearer {KEY},Bearer {KEY}")],
        [("Authorization", f"Bearer {KEY[:-1]}")],
        [("Authorization", f"Bearer {KEY.upper()}")],
        [("Authorization", f"Bearer {digest(KEY)}")],
        [("Authorization", f"Bearer sha256:{digest(KEY)}")],
        [("x-api-key", "")],
        [("x-api-key", f"Bearer {KEY}")],
        [("x-api-key", OTHER_KEY), ("Authorization", f"Bearer {KEY}")],
        [("x-api-key", "unknown"), ("Authorization", f"Bearer {KEY}")],
        [("x-api-key", ""), ("Authorization", f"Bearer {KEY}")],
        [("x-api-key", KEY), ("x-api-key", OTHER_KEY)],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {OTHER_KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Basic {KEY}")],
        [("Authorization", "Bearer \udcff\udcfe")],
        [("api-key", KEY)],
        [("Proxy-Authorization", f"Bearer {KEY}")],
        [("Cookie", f"key={KEY}")],
    ],
)
def test_anything_else_is_401_and_names_the_scheme(auth: Auth, headers: Pairs) -> None:
    with pytest.raises(Unauthenticated) as raised:
        auth.identify(CIMultiDict(headers))
    assert raised.value.http_status == 401
    assert error_headers(raised.value)["www-authenticate"].startswith("Bearer ")
    assert KEY not in raised.value.message


def test_a_key_outside_ascii_is_compared_by_its_bytes(auth: Auth) -> None:
    as_received = ODD_KEY.encode("latin-1").decode("utf-8", "surrogateescape")
    with pytest.raises(Unauthenticated):
        auth.identify(CIMultiDict({"x-api-key": as_received}))
    assert auth.identify(CIMultiDict({"x-api-key": ODD_KEY})).tenant == "acme"


def test_without_tenants_everybody_may_ask_and_keys_are_not_looked_at() -> None:
    for headers in ([], [("Authorization", "Basic x")], [("x-api-key", "a"), ("Authorization", "Bearer b")]):
        assert Auth({}).identify(CIMultiDict(headers)) is ANYBODY


def test_no_key_is_kept_nor_compared_but_by_its_hash(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """So neither the memory nor the time of a comparison can tell of a key; what is compared is compared in constant time."""
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def note(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    auth.identify(CIMultiDict({"x-api-key": KEY}))
    assert compared == [(digest(KEY), digest(KEY))]
    assert KEY not in repr(vars(auth))
