"""What still holds is told to whoever starts later."""

from gateway.runtime.bus import News
from gateway.runtime.state_broadcast import StateBroadcast
from tests.support.clock import FakeClock


def test_news_are_kept_for_as_long_as_they_hold(clock: FakeClock) -> None:
    board = StateBroadcast(clock)
    board.note(News("a", "opened", 30.0))
    board.note(News("b", "key_refused", 300.0))
    clock.advance(10.0)
    assert board.current() == (News("a", "opened", 20.0), News("b", "key_refused", 290.0))
    clock.advance(20.0)
    assert board.current() == (News("b", "key_refused", 270.0),)


def test_the_last_word_holds(clock: FakeClock) -> None:
    board = StateBroadcast(clock)
    board.note(News("a", "opened", 30.0))
    clock.advance(29.0)
    board.note(News("a", "opened", 30.0))
    assert board.current() == (News("a", "opened", 30.0),)


def test_what_holds_no_more_takes_no_room(clock: FakeClock) -> None:
    board = StateBroadcast(clock)
    for number in range(1000):
        board.note(News(str(number), "opened", 0.5))
        clock.advance(1.0)
    assert len(board._until) == 1


def test_refused_keys_are_forgotten_openings_are_not(clock: FakeClock) -> None:
    board = StateBroadcast(clock)
    board.note(News("a", "opened", 30.0))
    board.note(News("a", "key_refused", 30.0))
    board.forget_keys()
    assert board.current() == (News("a", "opened", 30.0),)
