"""What workers have told of endpoints and still holds, for those that start later."""

from gateway.core.clock import Clock
from gateway.runtime.bus import News


class StateBroadcast:
    """Keeps the last word on each thing for as long as it holds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], tuple[News, float]] = {}

    def note(self, news: News) -> None:
        """Keep `news` for its seconds."""
        now = self._clock.monotonic()
        self._until = {key: kept for key, kept in self._until.items() if kept[1] > now}
        self._until[news.identity, news.kind] = news, now + news.seconds

    def forget_keys(self) -> None:
        """Forget that keys were refused: the operator knows better."""
        self._until = {key: kept for key, kept in self._until.items() if kept[0].kind != "key_refused"}

    def current(self) -> tuple[News, ...]:
        """Give what still holds, for as long as it still does."""
        now = self._clock.monotonic()
        return tuple(News(news.identity, news.kind, until - now) for news, until in self._until.values() if until > now)
