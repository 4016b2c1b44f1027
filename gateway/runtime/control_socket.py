"""The socket on which control listens for the local command line, found by the path of the configuration file alone.

It is in `.gateway/` beside the file, if that is writable and the path is short enough for a Unix socket; else in a folder
of this user under the system's temporary folder. Control takes the first place that works, the command line the first
that answers.
"""

import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from gateway.runtime.listeners import ListenError, open_private

LONGEST_PATH_BYTES = 100  # sun_path has 104 to 108


def candidates(config_path: Path) -> list[Path]:
    """Return the possible paths, best first. Links are not followed: those of a ConfigMap change with every version."""
    path = Path(os.path.abspath(config_path))  # noqa: PTH100 (resolve would follow links)
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}"
    places = (path.parent / ".gateway" / f"control-{digest}.sock", private / f"control-{digest}.sock")
    return [place for place in places if len(os.fsencode(place)) <= LONGEST_PATH_BYTES]


def open_control_socket(config_path: Path) -> socket.socket:
    """Listen at the first possible path. Raise ListenError if none works."""
    reason = "its path is too long"
    for place in candidates(config_path):
        try:
            make_private_folder(place.parent)
            return open_private(place)
        except OSError as error:
            reason = f"{place.parent}: {(error.strerror or str(error)).lower()}"
        except ListenError as error:
            reason = str(error)
    raise ListenError(f"no place for the control socket: {reason}")


def make_private_folder(folder: Path) -> None:
    """Make `folder` for this user alone. Raise OSError if it exists and another user can write to it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(1, "is not a folder that only this user can write to")
