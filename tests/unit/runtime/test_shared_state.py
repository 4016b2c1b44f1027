"""Events that still hold reach workers that start later."""

from gateway.runtime.messages import EndpointEvent
from gateway.runtime.shared_state import EndpointEvents
from tests.support.clock import FakeClock


def test_news_are_kept_for_as_long_as_they_hold(clock: FakeClock) -> None:
    events = EndpointEvents(clock)
    events.add(EndpointEvent("a", "opened", 30.0))
    events.add(EndpointEvent("b", "key_refused", 300.0))
    clock.advance(10.0)
    assert events.current() == (EndpointEvent("a", "opened", 20.0), EndpointEvent("b", "key_refused", 290.0))
    clock.advance(20.0)
    assert events.current() == (EndpointEvent("b", "key_refused", 270.0),)


def test_the_last_word_holds(clock: FakeClock) -> None:
    events = EndpointEvents(clock)
    events.add(EndpointEvent("a", "opened", 30.0))
    clock.advance(29.0)
    events.add(EndpointEvent("a", "opened", 30.0))
    assert events.current() == (EndpointEvent("a", "opened", 30.0),)


def test_what_holds_no_more_takes_no_room(clock: FakeClock) -> None:
    events = EndpointEvents(clock)
    for number in range(1000):
        events.add(EndpointEvent(str(number), "opened", 0.5))
        clock.advance(1.0)
    assert len(events._held) == 1


def test_refused_keys_are_forgotten_openings_are_not(clock: FakeClock) -> None:
    events = EndpointEvents(clock)
    events.add(EndpointEvent("a", "opened", 30.0))
    events.add(EndpointEvent("a", "key_refused", 30.0))
    events.remove_refused_keys()
    assert events.current() == (EndpointEvent("a", "opened", 30.0),)
