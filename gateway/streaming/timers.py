"""The timeouts of one attempt, kept by one timer that is moved only when it fires.

Recording a time on every event costs nothing; arming a timer on every event would. So the timer sleeps until the earliest moment
at which a timeout could be due, checks, and sleeps again.
"""

import asyncio
from collections.abc import Callable

from gateway.core.errors import ClientStalled, GatewayError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.resilience.timeouts import Timeouts


class AttemptTimers:
    """Calls `expire` once, with the error of the first timeout that is due, unless `stop` is called before.

    | phase                                                  | timeout                                                |
    |--------------------------------------------------------|--------------------------------------------------------|
    | a long request is being sent (`pause_first_answer`)    | none but the total                                     |
    | until `body_started`; after `request_sent` from anew   | `first_token_s` of a stream, otherwise `answer_s`      |
    | from `body_started` on                                 | `idle_s`, from `last_at`                               |
    | from `client_paused` to `client_resumed`, in the body  | `write_timeout_s`, from `client_paused_at`             |
    | always                                                 | `total_at`, the end of the whole request               |

    The reader of the response keeps `last_at` itself. `client_paused_at` is 0.0 while the client reads. All times are the loop's.
    """

    __slots__ = (
        "_expire",
        "_first",
        "_first_at",
        "_handle",
        "_keepalive_s",
        "_keepalive_sent_at",
        "_loop",
        "_send_keepalive",
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
        self._keepalive_s: float | None = None
        self._keepalive_sent_at = 0.0
        self._send_keepalive: Callable[[], None] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        """Stop all timeouts and release the callbacks."""
        self._expire = _ignore
        self._send_keepalive = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def idle_s(self) -> float | None:
        """The longest silence between two pieces of a body; None for no limit."""
        return self._timeouts.idle_s

    def pause_first_answer(self) -> None:
        """Suspend the first-answer timeout: the request has not been sent whole."""
        self._first_at = None

    def request_sent(self) -> None:
        """Start the first-answer timeout: the request has been sent whole. Nothing where the body has started."""
        first_s = self._timeouts.first_token_s if self._first == "first_token" else self._timeouts.answer_s
        if self._first is not None and first_s is not None:
            self._first_at = self._loop.time() + first_s
            self._arm()

    def body_started(self) -> None:
        """End the first-answer timeout and start the idle timeout: the body of the response has started."""
        self._first = None
        self.last_at = self._loop.time()
        self._arm()

    def client_paused(self) -> None:
        """Start the write timeout in place of the idle timeout: the client does not read."""
        if not self.client_paused_at:
            self.client_paused_at = self._loop.time()
            self._arm()

    def client_resumed(self) -> None:
        """Start the idle timeout again: the client reads."""
        self.client_paused_at, self.last_at = 0.0, self._loop.time()
        self._arm()

    def start_keepalive(self, interval_s: float, send_keepalive: Callable[[], None]) -> None:
        """Call `send_keepalive` when nothing has arrived for `interval_s`, and again after each further `interval_s`."""
        self._keepalive_s, self._send_keepalive = interval_s, send_keepalive
        self._arm()

    def _due(self) -> tuple[float, str] | None:
        """Return the moment and the name of the timeout that is due next."""
        due = [] if self._total_at is None else [(self._total_at, "total")]
        if self._first is not None:
            if self._first_at is not None:
                due.append((self._first_at, self._first))
        elif self.client_paused_at:
            due.append((self.client_paused_at + self._write_timeout_s, "write"))
        elif self._timeouts.idle_s is not None:
            due.append((self.last_at + self._timeouts.idle_s, "idle"))
        return min(due, default=None)

    def _keepalive_at(self) -> float:
        """Return when the next keepalive is due: counted from the last byte, or from the last keepalive since."""
        assert self._keepalive_s is not None
        return max(self.last_at, self._keepalive_sent_at) + self._keepalive_s

    def _arm(self) -> None:
        """Sleep until the next timeout is due, unless the timer wakes before that anyway."""
        if self._expire is _ignore:
            return
        due = self._due()
        wake_at = None if due is None else due[0]
        if self._keepalive_s is not None:
            wake_at = self._keepalive_at() if wake_at is None else min(wake_at, self._keepalive_at())
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
        if self._send_keepalive is not None and self._keepalive_at() <= now:
            self._keepalive_sent_at = now
            self._send_keepalive()
        self._arm()


def _ignore(error: GatewayError) -> None:
    """Take the place of `expire` after `stop`."""


def _error(timeout: str) -> GatewayError:
    if timeout == "write":
        return ClientStalled("the client takes nothing any more")
    message = f"the provider did not answer in time ({timeout} timeout)"
    return UpstreamTimeout(message, code=f"{timeout}_timeout", fault=Fault(timeout))
