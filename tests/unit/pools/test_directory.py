"""Endpoints by identity: what a reload keeps."""

from gateway.config.spec import BreakerSpec
from gateway.pools.directory import KEY_REST_S, Directory
from gateway.pools.endpoint import Endpoint
from gateway.resilience.breaker import BreakerState
from tests.support.clock import FakeClock

ONCE = BreakerSpec(failures=1, recovery_s=30, successes=1)


def get(directory: Directory, url: str = "http://a", key: str = "", breaker: BreakerSpec | None = ONCE) -> Endpoint:
    return directory.get(("web", "big", url, key), "web", "big", key, breaker)


def test_the_same_identity_is_the_same_endpoint(clock: FakeClock) -> None:
    directory = Directory(clock)
    one = get(directory)
    assert (one.id, one.provider, one.model, one.in_flight) == ("web/big", "web", "big", 0)
    assert get(directory) is one


def test_another_url_or_key_is_another_endpoint(clock: FakeClock) -> None:
    directory = Directory(clock)
    assert len({id(get(directory, *identity)) for identity in (("http://a",), ("http://b",), ("http://a", "k"))}) == 3


def test_a_breaker_setting_is_taken_for_a_new_endpoint_only(clock: FakeClock) -> None:
    directory = Directory(clock)
    endpoint = get(directory)
    assert get(directory, breaker=None) is endpoint
    permit = endpoint.breaker.try_acquire()
    assert permit is not None
    permit.fail()
    assert endpoint.breaker.state is BreakerState.OPEN


def test_what_is_not_retained_is_made_anew(clock: FakeClock) -> None:
    directory = Directory(clock)
    kept, gone = get(directory), get(directory, "http://b")
    gone.in_flight = 1
    directory.retain({kept: None}, ())
    assert get(directory) is kept
    assert get(directory, "http://b") is not gone
    assert gone.in_flight == 1  # its running requests still hold it


def test_endpoints_of_one_key_share_what_is_known_of_it(clock: FakeClock) -> None:
    directory = Directory(clock)
    one, two, other = get(directory, key="k"), get(directory, "http://b", "k"), get(directory, key="other")
    assert one.credential is two.credential
    assert one.credential is not other.credential
    assert one.load is other.load


def test_a_key_that_is_refused_rests_while_another_is_left(clock: FakeClock) -> None:
    directory = Directory(clock)
    first, second = get(directory, key="1"), get(directory, key="2")
    reported: list[Endpoint] = []
    directory.on_key_refused = reported.append
    directory.mark_key_refused(first, [second.credential])
    assert not first.is_in_rotation(clock.monotonic())
    directory.mark_key_refused(second, [first.credential])
    assert second.credential.is_refused
    assert second.is_in_rotation(clock.monotonic()), "the last one stays"
    directory.mark_key_refused(second, [first.credential])
    assert reported == [first, second], "reported once"
    clock.advance(KEY_REST_S)
    assert first.is_in_rotation(clock.monotonic())


def test_a_pool_keeps_its_state_while_it_is_named(clock: FakeClock) -> None:
    directory = Directory(clock)
    state = directory.pool("main")
    directory.retain((), ("main",))
    assert directory.pool("main") is state
    directory.retain((), ())
    assert directory.pool("main") is not state
