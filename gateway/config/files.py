"""Reading a file with a bound, every way to fail in words."""

import os
import stat
from pathlib import Path


def absolute(path: Path) -> Path:
    """Return an absolute path without `..`; links stay, since what they lead to may be swapped."""
    return Path(os.path.normpath(path.absolute()))


def read_bounded(path: Path, limit: int) -> tuple[bytes | None, str]:
    """Return the bytes of a regular file of at most `limit` bytes; else None and why, in words without the path."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None, "is a directory" if path.is_dir() else "is not a regular file"
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None, "no such file"
    except PermissionError:
        return None, "permission denied"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return None, f"can't be read ({getattr(error, 'strerror', None) or 'not a path'})"
    if len(data) > limit:
        return None, f"is larger than {limit // 1024}KiB"
    return data, ""
