"""Which route a request takes, and what may be asked for."""

import time
from collections.abc import Mapping

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import ANYBODY, Principal
from gateway.routing.router import MAX_CACHED_CHARS, MAX_CACHED_NAMES, Match, Router
from tests.support.replay import load_config

TEXT = """
version: 1
providers: {web: {kind: openai, url: "http://web.test/v1"}}
models:
  big: {provider: web, price: {input: 1, output: 2}, quality: 0.9}
  small: {provider: web, price: {input: 1, output: 2}, quality: 0.5}
  mock-*: {provider: web, price: {input: 1, output: 2}, quality: 0.5}
pools:
  strong: {members: [big]}
let: {agentic: "request.tools > 0 || request.images > 0"}
routes:
  - {name: direct, match: [big, "mock-*"], to: requested}
  - {name: agents, match: [auto, strong], when: agentic, to: strong}
  - {name: team, match: [auto], when: 'headers["x-team"] == "search"', to: big}
  - {name: paid, match: [auto], when: 'labels["plan"] == "paid" && now.hour == 5', to: strong}
  - {name: auto, match: [auto, "*mall"], to: small}
tenants:
  acme: {keys: ["sha256:%s"], labels: {plan: paid}, models: [auto, "mock-*"]}
""" % ("0" * 64)
ACME = Principal("acme", "00000000", {"plan": "paid"}, ("auto", "mock-*"))
FIVE_O_CLOCK = 5 * 3600.0


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(load_config(TEXT).spec)


def match(
    router: Router,
    model: str,
    principal: Principal = ANYBODY,
    headers: Mapping[str, str] | None = None,
    wall_s: float = 0.0,
    tools: int = 0,
) -> Match:
    request = ChatRequest(b"", "/v1/chat/completions", model, tools=tools)
    return router.match(request, headers or {}, principal, wall_s)


def test_requested_leads_to_the_requested_model(router: Router) -> None:
    assert match(router, "big") == Match("direct", "big")


def test_a_member_of_a_family_leads_to_the_family(router: Router) -> None:
    assert match(router, "mock-7") == Match("direct", "mock-*")


def test_the_first_route_whose_condition_holds_wins(router: Router) -> None:
    assert match(router, "auto", tools=1) == Match("agents", "strong")
    assert match(router, "auto", headers={"x-team": "search"}) == Match("team", "big")
    assert match(router, "auto", headers={"x-team": "search"}, tools=1) == Match("agents", "strong")
    assert match(router, "auto") == Match("auto", "small")


def test_conditions_see_the_principal_and_the_time(router: Router) -> None:
    assert match(router, "auto", ACME, wall_s=FIVE_O_CLOCK) == Match("paid", "strong")
    assert match(router, "auto", ACME, wall_s=0) == Match("auto", "small")
    assert match(router, "auto", wall_s=FIVE_O_CLOCK) == Match("auto", "small")


def test_a_pool_can_be_requested_if_a_route_spells_it(router: Router) -> None:
    assert match(router, "strong", tools=1) == Match("agents", "strong")
    with pytest.raises(ModelNotFound):
        match(router, "strong")  # its only route does not hold


def test_a_glob_covers_known_names_only(router: Router) -> None:
    """`*mall` covers `small`, which is a model; `mall` is nothing."""
    assert match(router, "small") == Match("auto", "small")
    with pytest.raises(ModelNotFound):
        match(router, "mall")


@pytest.mark.parametrize("name", ["", "autoo", "AUTO", "mock", "x" * 100_000, "a\r\nb", "\ud800", "*", "*mall"])
def test_what_is_unknown_is_not_found(router: Router, name: str) -> None:
    with pytest.raises(ModelNotFound) as raised:
        match(router, name)
    assert raised.value.param == "model"
    assert len(raised.value.message) < 300
    assert raised.value.message.isprintable()


def test_a_close_name_is_suggested(router: Router) -> None:
    with pytest.raises(ModelNotFound, match="did you mean 'auto'"):
        match(router, "autoo")


def test_a_key_may_ask_for_its_names_only(router: Router) -> None:
    assert match(router, "auto", ACME).route == "auto"
    assert match(router, "mock-1", ACME).route == "direct"
    with pytest.raises(ModelNotFound) as hidden:
        match(router, "big", ACME)
    with pytest.raises(ModelNotFound) as unknown:
        match(router, "bog", ACME)
    assert hidden.value.message.replace("big", "bog") == unknown.value.message


def test_a_name_that_a_key_may_not_ask_for_is_not_suggested(router: Router) -> None:
    with pytest.raises(ModelNotFound) as raised:
        match(router, "stron", ACME)
    assert "strong" not in raised.value.message.replace("'stron'", "")


def test_names_are_those_that_lead_somewhere(router: Router) -> None:
    assert router.model_names(ANYBODY) == ["auto", "big", "mock-*", "small", "strong"]
    assert router.model_names(ACME) == ["auto", "mock-*"]


@pytest.mark.parametrize(("name", "is_known"), [("big", True), ("mock-1", True), ("mock-*", True), ("nope", False)])
def test_which_names_are_allowed(router: Router, name: str, is_known: bool) -> None:
    assert router.is_allowed_model(name, ANYBODY) is is_known


def test_knows_nothing_that_is_not_for_the_key(router: Router) -> None:
    assert router.is_allowed_model("mock-1", ACME)
    assert not router.is_allowed_model("big", ACME)


def test_everything_that_match_gives_is_among_the_matches(router: Router) -> None:
    """Paths are made for them at load: one that is missing would be a failure of a request."""
    everything = set(router.all_matches())
    for model in ("big", "small", "mock-x", "mock-*", "auto", "strong"):
        for tools in (0, 1):
            for headers in ({}, {"x-team": "search"}):
                for principal in (ANYBODY, ACME):
                    try:
                        assert match(router, model, principal, headers, FIVE_O_CLOCK, tools) in everything
                    except ModelNotFound:
                        continue


def test_a_condition_that_fails_counts_as_false() -> None:
    text = TEXT.replace("when: agentic", "when: '100 / request.tools > 3'")
    router = Router(load_config(text).spec)
    assert match(router, "auto") == Match("auto", "small")
    assert router.condition_errors == 1
    assert match(router, "auto", tools=2) == Match("agents", "strong")
    assert router.condition_errors == 1


def test_what_is_remembered_of_names_is_bounded(router: Router) -> None:
    """Clients choose the names: neither their number nor their length may fill the memory."""
    for number in range(MAX_CACHED_NAMES + 10):
        assert match(router, f"mock-{number}") == Match("direct", "mock-*")
    assert match(router, f"mock-{'x' * MAX_CACHED_CHARS}") == Match("direct", "mock-*")
    assert len(router._cached) <= MAX_CACHED_NAMES
    assert max(map(len, router._cached)) <= MAX_CACHED_CHARS


def test_a_suggestion_is_found_in_little_time_and_once() -> None:
    names = [f"gpt-4o-mini-2024-{number:04d}-preview" for number in range(1000)]
    models = "\n".join(f"  {name}: {{provider: a, price: {{input: 1, output: 1}}}}" for name in names)
    provider = 'providers: {a: {kind: openai, url: "http://a.test/v1"}}'
    router = Router(
        load_config(
            f"version: 1\n{provider}\nmodels:\n{models}\nroutes: [{{name: r, match: ['*'], to: requested}}]\n"
        ).spec
    )

    def took_s(requested: str) -> float:
        began = time.thread_time()
        with pytest.raises(ModelNotFound, match="did you mean 'gpt-4o-mini-2024-"):
            router.match(ChatRequest(b"", "/v1/chat/completions", requested), {}, ANYBODY, 0.0)
        return time.thread_time() - began

    took_s("gpt-4o-mini-2024-x")
    assert min(took_s(f"gpt-4o-mini-2024-x{number}-preview" + "x" * 30) for number in range(3)) < 0.02
    assert min(took_s("gpt-4o-mini-2024-x") for _ in range(3)) < 0.001
