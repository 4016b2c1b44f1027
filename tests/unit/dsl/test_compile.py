"""What conditions see and say at run time."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import structs

from gateway.core.chat import ChatRequest
from gateway.dsl.compile import RESULTS_KEPT, Condition, Conditions, Scope

REQUEST = ChatRequest(raw=b"", path="/v1/chat/completions", model="gpt-4o-mini", tokens=1000)


def holds(
    source: str,
    request: ChatRequest = REQUEST,
    *,
    headers: Mapping[str, str] | None = None,
    tenant: str = "acme",
    labels: Mapping[str, str] | None = None,
    wall_s: float = 0.0,
    lets: Mapping[str, str] | None = None,
) -> bool:
    conditions = Conditions(lets or {})
    condition = conditions.compile(source)
    result = condition.holds(conditions.scope(request, headers or {}, tenant, labels or {}, wall_s))
    assert condition.errors == 0
    return result


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("request.tokens == 1000.0", True),
        ("request.tokens > 0.5e3", True),
        ("request.tokens < 1000.5", True),
        ("1000.5 < request.tokens", False),
        ("request.temperature <= 1", True),
        ("request.temperature < 1", False),
        ("1 == request.temperature", True),
        ("request.temperature != 1", False),
        ("request.temperature in [0, 1]", True),
        ("request.temperature in [0, 0.5]", False),
        ("request.tokens in [1000.0, 2]", True),
        ("request.tokens * 1.5 > 1499", True),
        ("0.001 * request.tokens <= 1", True),
        ("request.tokens / 3.0 > 333.3", True),
        ("request.tokens / 3 == 333", True),
        ("request.tokens - 0.5 > 999", True),
        ("request.temperature + 1 == 2", True),
        ("request.model.size() > 2.5", True),
        ("request.tokens % 2 == 0", True),
    ],
)
def test_whole_and_decimal_numbers_mix(source: str, expected: bool) -> None:
    assert holds(source) is expected


@pytest.mark.parametrize(
    ("source", "silent", "said"),
    [
        ("request.max_tokens == 0", True, False),
        ("request.has_max_tokens", False, True),
        ("request.temperature == 1.0", True, False),
        ("request.has_temperature", False, True),
        ("request.stream", False, True),
        ("request.has_stream", False, True),
        ("request.n == 1", True, False),
        ("request.tools > 0 || request.images > 0", False, True),
    ],
)
def test_every_variable_has_a_value_and_tells_whether_it_was_sent(source: str, silent: bool, said: bool) -> None:
    full = ChatRequest(b"", "/v1/x", "m", True, True, max_tokens=9, temperature=0.2, n=2, tools=1, images=1)
    assert (holds(source), holds(source, full)) == (silent, said)


def test_model_path_and_tenant_are_read() -> None:
    assert holds('request.model == "gpt-4o-mini" && request.path == "/v1/chat/completions" && tenant == "acme"')


@pytest.mark.parametrize(
    ("wall_s", "hour", "weekday"),
    [(0.0, 0, 4), (86_399.9, 23, 4), (86_400.0 * 3, 0, 7), (86_400.0 * 4, 0, 1), (1_700_042_400.0, 10, 3)],
)
def test_hour_and_weekday_are_utc_with_monday_as_one(wall_s: float, hour: int, weekday: int) -> None:
    assert holds(f"now.hour == {hour} && now.weekday == {weekday}", wall_s=wall_s)


@pytest.mark.parametrize(
    "source", ['headers["x-team"] == "ads"', 'headers["X-Team"] == "ads"', "headers['x-team'].startsWith('a')"]
)
def test_header_is_read_by_name_in_any_case(source: str) -> None:
    assert holds(source, headers={"x-team": "ads"})
    assert not holds(source)


def test_absent_headers_and_labels_are_empty() -> None:
    assert holds('headers.team == "" && headers["x-a"] == "" && labels.plan == "" && labels["a b"] == ""')


def test_labels_are_read_by_name_in_their_own_case() -> None:
    assert holds('labels.Plan == "paid" && labels.plan == ""', labels={"Plan": "paid"})


def test_let_is_put_in_as_one_term() -> None:
    lets = {"either": "true || true", "both": "either && false"}
    assert not holds("either && false", lets=lets)
    assert holds("!both", lets=lets)


def test_headers_of_a_let_are_filled_in() -> None:
    assert holds("mine || true", lets={"mine": 'headers["x-a"] == "1" && labels.b == "2"'})


def test_macros_go_through_lists() -> None:
    assert holds('["o1", "gpt-"].exists(p, request.model.startsWith(p))')
    assert holds(
        'headers.groups.split(",").all(g, g != "c") && "b" in headers.groups.split(",")', headers={"groups": "a,b"}
    )


def compiled(source: str, request: ChatRequest = REQUEST) -> tuple[Conditions, Condition, Scope]:
    conditions = Conditions({})
    condition = conditions.compile(source)
    return conditions, condition, conditions.scope(request, {}, "", {}, 0.0)


@pytest.mark.parametrize(
    "source",
    ["1 / request.images > 0", 'request.model.split("-")[9] == ""', "int(tenant) > 3", "request.model.charAt(99) == ''", "1.5 / (request.images * 1) > 0.0"],
)  # fmt: skip
def test_failing_condition_is_false_counted_and_logged_once(source: str, caplog: pytest.LogCaptureFixture) -> None:
    conditions, condition, scope = compiled(source)
    with caplog.at_level(logging.WARNING, logger="gateway.dsl.compile"):
        assert [condition.holds(scope) for _ in range(3)] == [False] * 3
    assert (condition.errors, conditions.errors) == (3, 3)
    assert [record.getMessage() for record in caplog.records] == ["condition failed and counts as false"]
    assert caplog.records[0].__dict__["condition"] == source


def test_log_of_a_failure_quotes_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    conditions = Conditions({})
    condition = conditions.compile("int(headers.secret) > 1")
    condition.holds(conditions.scope(REQUEST, {"secret": "hunter2"}, "", {}, 0.0))
    assert "hunter2" not in str([record.__dict__ for record in caplog.records])


def test_error_behind_a_short_circuit_does_not_count() -> None:
    _, condition, scope = compiled("request.images == 0 || 1 / request.images > 0")
    assert condition.holds(scope)
    assert condition.errors == 0


@pytest.mark.parametrize("value", ["\ud800", "a\0b", "é" * 5000, "🙂", ""])
def test_any_text_of_a_client_can_be_read(value: str) -> None:
    request = ChatRequest(b"", value, value)
    conditions = Conditions({})
    condition = conditions.compile(
        'request.model != "x" && request.path != "x" && headers.a != "x" && request.model.size() <= 1024'
    )
    assert condition.holds(conditions.scope(request, {"a": value}, value, {"b": value}, 0.0))
    assert condition.errors == 0


@pytest.mark.parametrize("number", [2**63, 10**400, -(10**400)])
def test_any_number_of_a_client_can_be_read(number: int) -> None:
    request = ChatRequest(b"", "/", "m", max_tokens=abs(number), temperature=number, n=abs(number), tokens=abs(number))
    assert holds("request.max_tokens > 5 && request.tokens > 5 && request.n > 5 && request.temperature != 0", request)


class Watched:
    """A program that counts how often it runs."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.runs = 0

    def eval(self, activation: Any) -> Any:
        self.runs += 1
        return self._program.eval(activation)


def test_what_shows_the_same_values_is_evaluated_once() -> None:
    conditions = Conditions({})
    condition = conditions.compile('headers["x-a"] == "1" && request.tools > 0 && labels.plan == "paid"')
    condition._program = program = Watched(condition._program)
    asked = [
        ({"x-a": "1"}, 1, {"plan": "paid"}, True),
        ({"x-a": "2"}, 1, {"plan": "paid"}, False),
        ({"x-a": "1"}, 0, {"plan": "paid"}, False),
        ({"x-a": "1"}, 1, {"plan": "free"}, False),
    ]
    for _ in range(2):
        for headers, tools, labels, expected in asked:
            request = structs.replace(REQUEST, tools=tools, model=f"model-{expected}")
            assert condition.holds(conditions.scope(request, headers, "anybody", labels, 0.0)) is expected
    assert program.runs == len(asked), "neither the model nor the tenant is read"


def test_no_more_results_are_kept_than_are_bounded() -> None:
    conditions = Conditions({})
    condition = conditions.compile("request.tokens > 10")
    for tokens in range(3 * RESULTS_KEPT):
        request = structs.replace(REQUEST, tokens=tokens)
        assert condition.holds(conditions.scope(request, {}, "", {}, 0.0)) is (tokens > 10)
        assert len(condition._results) <= RESULTS_KEPT


def test_compiling_in_a_thread_does_not_disturb_evaluation() -> None:
    conditions = Conditions({"big": "request.tokens > 10"})
    condition = conditions.compile('big && headers["x-a"] == "1"')
    compiled_elsewhere: list[bool] = []

    def reload() -> None:
        for number in range(30):
            other = Conditions({"big": f"request.tokens > {number}"})
            mine = other.compile('big && headers["x-b"] == ""')
            compiled_elsewhere.append(mine.holds(other.scope(REQUEST, {}, "", {}, 0.0)))

    threads = [threading.Thread(target=reload) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert condition.holds(conditions.scope(REQUEST, {"x-a": "1"}, "", {}, 0.0))
    assert compiled_elsewhere == [True] * 60
