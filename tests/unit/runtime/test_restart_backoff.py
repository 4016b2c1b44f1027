"""Restarts come slower the more often they are needed."""

from gateway.runtime.restart_backoff import FIRST_PAUSE_S, LONG_LIFE_S, LONGEST_PAUSE_S, RestartBackoff


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest() -> None:
    pauses = RestartBackoff(HandClock())
    pauses.note_start()
    taken = [pauses.next_pause_s() for _ in range(11)]
    assert taken[:4] == [0.1, 0.2, 0.4, 0.8]
    assert taken[-2:] == [LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_long_life_is_forgiven() -> None:
    clock = HandClock()
    pauses = RestartBackoff(clock)
    for _ in range(5):
        pauses.note_start()
        pauses.next_pause_s()
    pauses.note_start()
    clock.now += LONG_LIFE_S
    assert pauses.next_pause_s() == FIRST_PAUSE_S


def test_a_life_just_short_of_long_is_not_forgiven() -> None:
    clock = HandClock()
    pauses = RestartBackoff(clock)
    pauses.note_start()
    pauses.next_pause_s()
    pauses.note_start()
    clock.now += LONG_LIFE_S - 0.001
    assert pauses.next_pause_s() == 2 * FIRST_PAUSE_S
