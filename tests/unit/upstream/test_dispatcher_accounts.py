"""Failures of the gateway's account or configuration through dispatch: another key or member is tried, then `then:`."""

import pytest

from gateway.core.errors import ModelGone, QuotaUsedUp, Rejected, Transient, UpstreamError
from tests.support.dispatching import LoopClock, called_hosts, dispatch_and_read, leaks, replay_worker
from tests.support.loops import in_virtual_time
from tests.support.replay import ReplayWorker, ScriptedResponse, completion, full_response

GOOD = full_response(completion("from another"))
LOW = full_response(
    b'{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}', 400
)
NO_MONEY = full_response(b'{"error":{"message":"Insufficient Balance"}}', 402)
BAD_KEY = full_response(b'[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]', 400)
GONE = full_response(b'{"error":{"code":"model_not_found","message":"The model `m-a` does not exist"}}', 404)
LOCKED = full_response(b'{"error":{"message":"locked"}}', 409)
AGAIN = full_response(b'{"error":{"message":"strange"}}', 400, x_should_retry="true")
WRONG = full_response(b'{"error":{"message":"bad tool"}}', 400)


@pytest.mark.parametrize("fault", [LOW, NO_MONEY, BAD_KEY, GONE, LOCKED, AGAIN], ids=range(6))
@pytest.mark.parametrize(
    "pools", ["main: {members: [m-a, m-b]}", "main: {members: [m-a], then: b}\nb: {members: [m-b]}"]
)
@in_virtual_time
async def test_another_member_or_pool_answers(fault: ScriptedResponse, pools: str) -> None:
    line = replay_worker(pools)
    line.play(a=fault, b=GOOD)
    assert b"from another" in await dispatch_and_read(line, line.exchange("auto"))
    assert set(called_hosts(line)) == {"a", "b"}
    assert set(line.services.circuits().values()) == {"closed"}
    assert not leaks(line)


@in_virtual_time
async def test_another_key_answers_for_an_account_without_money() -> None:
    line = ReplayWorker(
        """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", keys: [k-1, k-2]}
models:
  m: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
pools:
  main: {members: [m], retry: {when: [connect]}}
routes: [{name: all, match: [auto], to: main}]
""",
        LoopClock(),
    )
    line.play(a=[LOW, GOOD])
    await dispatch_and_read(line, line.exchange("auto"))
    assert {b"k-1" in call.head for call in line.transport.calls} == {True, False}


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [(LOW, QuotaUsedUp, 429), (NO_MONEY, QuotaUsedUp, 429), (GONE, ModelGone, 502), (LOCKED, Transient, 409)],
    ids=range(4),
)
@in_virtual_time
async def test_where_no_other_endpoint_is_left_the_client_learns_why(
    fault: ScriptedResponse, kind: type[UpstreamError], status: int
) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=fault)
    with pytest.raises(kind) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert raised.value.http_status == status
    assert called_hosts(line) == ("aaa" if kind is Transient else "a")


@in_virtual_time
async def test_the_clients_own_fault_stays_its_own() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}")
    line.play(a=WRONG, b=GOOD)
    with pytest.raises(Rejected) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.error_code, called_hosts(line)) == (400, "upstream_rejected", "a")


@in_virtual_time
async def test_a_name_that_the_client_chose_is_the_clients_fault() -> None:
    line = ReplayWorker(
        """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
models:
  gpt-*: {provider: a, price: {input: 1, output: 2}}
routes: [{name: all, match: ["gpt-*"], to: requested}]
""",
        LoopClock(),
    )
    line.play(a=GONE)
    with pytest.raises(Rejected) as raised:
        await dispatch_and_read(line, line.exchange("gpt-9"))
    assert (type(raised.value), raised.value.http_status) == (Rejected, 404)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
@in_virtual_time
async def test_x_should_retry_false_rules_out_the_same_endpoint_and_no_other(status: int) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=full_response(b"{}", status, x_should_retry="false"))
    with pytest.raises(UpstreamError):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "a"
    line = replay_worker("main: {members: [m-a, m-b]}")
    line.play(a=full_response(b"{}", status, x_should_retry="false"), b=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ab"
