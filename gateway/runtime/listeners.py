"""Bind the sockets that the gateway listens on. Control holds them, so that a killed worker's backlog is not lost."""

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.config.spec import Listen
from gateway.runtime.port_owner import port_owner

BACKLOG = 4096

# Accepted sockets inherit this: a client that does not read occupies at most this much in the kernel.
SEND_BUFFER_BYTES = 256 * 1024


class ListenError(Exception):
    """An address can't be listened on; the message names it."""


@contextlib.contextmanager
def named(setting: str) -> Iterator[None]:
    """Put the setting that holds the address in front of the message of a ListenError."""
    try:
        yield
    except ListenError as error:
        raise ListenError(f"{setting}: {error}") from error


def listen_on(addresses: Iterable[Listen]) -> list[socket.socket]:
    """Return listening sockets for all `addresses`. Raise ListenError and open none if one fails."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(one) for address in addresses for one in _open(address)]
        opened.pop_all()
        return sockets


def open_private(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this user may connect to."""
    return _open_unix(Listen(path=str(path), mode=0o600))


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close listening sockets, and remove the files of those that have one."""
    for one in sockets:
        if one.fileno() < 0:
            continue
        path = one.getsockname() if one.family == socket.AF_UNIX else None
        one.close()
        if path:
            with contextlib.suppress(OSError):
                Path(path).unlink()


def address_of(one: socket.socket) -> str:
    """Return the address that a socket listens on, as the configuration writes it."""
    name = one.getsockname()
    return str(Listen(path=name)) if one.family == socket.AF_UNIX else str(Listen(host=name[0], port=name[1]))


def _open(address: Listen) -> list[socket.socket]:
    if address.path:
        return [_open_unix(address)]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"{address}: no such host ({error.strerror})") from error
    return [_open_tcp(address, family, name) for family, _, _, _, name in dict.fromkeys(found)]


def _open_tcp(address: Listen, family: int, name: object) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(name)  # type: ignore[arg-type]
        return _listening(one)
    except OSError as error:
        one.close()
        raise ListenError(f"{address}: {_reason(error, address)}") from error


def _open_unix(address: Listen) -> socket.socket:
    """Set owner and mode before `listen`, so that no client can connect earlier."""
    path = Path(address.path)
    user, group = _owner(address)
    _remove_stale(path)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        one.bind(address.path)
        if address.owner:
            os.chown(path, user, group)
        if address.mode is not None:
            path.chmod(address.mode)
        return _listening(one)
    except OSError as error:
        if one.getsockname():
            path.unlink(missing_ok=True)
        one.close()
        raise ListenError(f"{address}: {_reason(error, address)}") from error


def _owner(address: Listen) -> tuple[int, int]:
    """Return the ids of user and group, from names or numbers; -1: unchanged."""
    user, _, group = address.owner.partition(":")
    try:
        uid = -1 if not user else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ListenError(f"{address}: there is no user {user!r} on this machine") from None
    try:
        gid = -1 if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise ListenError(f"{address}: there is no group {group!r} on this machine") from None
    return uid, gid


def _listening(one: socket.socket) -> socket.socket:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    one.listen(BACKLOG)
    one.setblocking(False)
    return one


def _remove_stale(path: Path) -> None:
    """Remove a socket that a dead process left behind; keep one that answers, and any other file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"unix:{path}: exists already, and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ListenError(f"unix:{path}: {_reason(error, Listen(path=str(path)))}") from error
        else:
            raise ListenError(f"unix:{path}: address already in use; is another gateway running?")


def _reason(error: OSError, address: Listen) -> str:
    reason = (error.strerror or str(error)).lower()
    if error.errno != errno.EADDRINUSE:
        return reason
    return f"{reason} by {owner}" if (owner := port_owner(address.port)) else f"{reason}; is another gateway running?"
