"""Notify the service manager: systemd's protocol, datagrams to the socket that `$NOTIFY_SOCKET` names.

https://www.freedesktop.org/software/systemd/man/sd_notify.html. Imports next to nothing: the notifier is made before the
first worker is launched, which must not inherit the variables. Sending never fails and never waits, also without a
receiver.
"""

import contextlib
import socket
from collections.abc import MutableMapping


class Notifier:
    """Sends states to `address`; nothing if that is empty. `watchdog_s`: the interval in which a life sign is expected."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self._reloads = 0
        self._is_stopping = False

    @classmethod
    def take(cls, env: MutableMapping[str, str], pid: int) -> "Notifier":
        """Make a notifier from the environment of the process `pid`, and remove its variables there."""
        address = env.pop("NOTIFY_SOCKET", "")
        usec, pid_text = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        is_watched = usec.isdigit() and int(usec) > 0 and pid_text in ("", str(pid))
        return cls(address, int(usec) / 1e6 if is_watched else None)

    def ready(self, status: str) -> None:
        """Notify that the gateway serves."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self, monotonic_s: float) -> None:
        """Notify that a reload was requested at `monotonic_s`; `reloaded` has to follow."""
        self._reloads += 1
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_s * 1e6)}\nSTATUS=reloading")

    def reloaded(self, status: str) -> None:
        """Note that a reload has ended, successfully or not; after the last running one the gateway is ready again."""
        self._reloads -= 1
        if not self._reloads and not self._is_stopping:
            self.ready(status)

    def stopping(self) -> None:
        """Notify that the gateway stops."""
        self._is_stopping = True
        self._send("STOPPING=1\nSTATUS=stopping")

    def alive(self) -> None:
        """Send the life sign that the watchdog expects."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, contextlib.suppress(OSError):
            one.setblocking(False)
            one.sendto(state.encode(), self._address)
