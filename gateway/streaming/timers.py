"""The clocks of one attempt, kept by one timer that is moved only when it fires.

Noting a time on every event costs nothing; arming a timer on every event would. So the timer sleeps until the
earliest moment at which something could be due, looks, and sleeps again.
"""

import asyncio
from collections.abc import Callable

from gateway.core.errors import ClientStalled, GatewayError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.resilience.timeouts import Timeouts


class AttemptTimers:
    """Calls `expire` with the error of the first clock that runs out, once; `stop` ends the watch.

    Until `body_started`, the first-answer clock runs (`first_token_s` of a stream, else `answer_s`). From then on the idle
    clock runs from `last_at`, which the reader of the answer keeps, but for the time that the client holds things up
    (`client_paused` to `client_resumed`): then `write_timeout_s` runs from `client_paused_at` (0.0 = not held up). `total_at` is when the whole
    request is over. All times are the loop's.

    Where the request itself takes time to send, the first-answer clock waits until that is done: `pause_first_answer`, then `request_sent`.
    """

    __slots__ = (
        "_expire",
        "_first",
        "_first_at",
        "_handle",
        "_loop",
        "_on_silence",
        "_silence_s",
        "_silent_since",
        "_timeouts",
        "_total_at",
        "_write_timeout_s",
        "client_paused_at",
        "last_at",
    )

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        is_stream: bool,
        total_at: float | None,
        write_timeout_s: float,
        expire: Callable[[GatewayError], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._expire = expire
        self._total_at = total_at
        self._write_timeout_s = write_timeout_s
        self._first: str | None = "first_token" if is_stream else "answer"
        self.last_at = self._loop.time()
        first_s = timeouts.first_token_s if is_stream else timeouts.answer_s
        self._first_at = None if first_s is None else self.last_at + first_s
        self.client_paused_at = 0.0
        self._silence_s: float | None = None
        self._silent_since = 0.0
        self._on_silence: Callable[[], None] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        """End the watch; nothing is called any more, and nothing that it would call is held."""
        self._expire = _ignore
        self._on_silence = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def idle_s(self) -> float | None:
        """The longest silence; None for any."""
        return self._timeouts.idle_s

    def pause_first_answer(self) -> None:
        """Let the first-answer clock wait: the request has not been sent whole."""
        self._first_at = None

    def request_sent(self) -> None:
        """Note that the request has been sent whole: from now on the first-answer clock runs, where it is still of use."""
        first_s = self._timeouts.first_token_s if self._first == "first_token" else self._timeouts.answer_s
        if self._first is not None and first_s is not None:
            self._first_at = self._loop.time() + first_s
            self._arm()

    def body_started(self) -> None:
        """Note that the first answer has come: from now on the idle clock runs."""
        self._first = None
        self.last_at = self._loop.time()
        self._arm()

    def client_paused(self) -> None:
        """Note that the client takes nothing for now."""
        if not self.client_paused_at:
            self.client_paused_at = self._loop.time()
            self._arm()

    def client_resumed(self) -> None:
        """Note that the client takes again."""
        self.client_paused_at, self.last_at = 0.0, self._loop.time()
        self._arm()

    def start_keepalive(self, silence_s: float, on_silence: Callable[[], None]) -> None:
        """Call `on_silence` whenever nothing has come for `silence_s`, again after each further `silence_s`."""
        self._silence_s, self._on_silence = silence_s, on_silence
        self._arm()

    def _due(self) -> tuple[float, str] | None:
        """Give the clock that is due next, and when."""
        due = [] if self._total_at is None else [(self._total_at, "total")]
        if self._first is not None:
            if self._first_at is not None:
                due.append((self._first_at, self._first))
        elif self.client_paused_at:
            due.append((self.client_paused_at + self._write_timeout_s, "write"))
        elif self._timeouts.idle_s is not None:
            due.append((self.last_at + self._timeouts.idle_s, "idle"))
        return min(due, default=None)

    def _silence_at(self) -> float:
        """Give when silence is due: from the last byte, or from the sign that was given since."""
        assert self._silence_s is not None
        return max(self.last_at, self._silent_since) + self._silence_s

    def _arm(self) -> None:
        """Sleep until the next clock is due, unless the timer wakes before that anyway."""
        if self._expire is _ignore:
            return
        due = self._due()
        wake_at = None if due is None else due[0]
        if self._silence_s is not None:
            wake_at = self._silence_at() if wake_at is None else min(wake_at, self._silence_at())
        if wake_at is None or (self._handle is not None and self._handle.when() <= wake_at):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(wake_at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        due, now = self._due(), self._loop.time()
        if due is not None and due[0] <= now:
            self._expire(_error(due[1]))
            return
        if self._on_silence is not None and self._silence_at() <= now:
            self._silent_since = now
            self._on_silence()
        self._arm()


def _ignore(error: GatewayError) -> None:
    """Nobody is interested any more."""


def _error(clock: str) -> GatewayError:
    if clock == "write":
        return ClientStalled("the client takes nothing any more")
    message = f"the provider did not answer in time ({clock} clock)"
    return UpstreamTimeout(message, code=f"{clock}_timeout", fault=Fault(clock))
