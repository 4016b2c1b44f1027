"""The key of the admin listener: the configured one, or one made at start."""

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.config.spec import Spec
from gateway.core.secret import Secret
from gateway.runtime.control_socket import make_private_folder

log = logging.getLogger(__name__)


def admin_key(spec: Spec, show: Callable[[str], None] | None) -> Secret:
    """Return the key. A new one is shown where there is a terminal to `show` it, else written to `admin.key` in the state folder."""
    configured = spec.server.admin.key
    if configured:
        return configured
    key = Secret(f"gw-admin-{secrets.token_urlsafe(32)}")
    if show is not None:
        show(f"admin key, for this run: {key.value}\n")
        return key
    path = Path(spec.state_dir) / "admin.key"
    try:
        _write_private(path, key.value)
    except OSError as error:
        log.warning(
            "admin key could not be written: set server.admin.key", extra={"file": str(path), "reason": error.strerror}
        )
    else:
        log.info("admin key was made for this run", extra={"file": str(path)})
    return key


def _write_private(path: Path, text: str) -> None:
    """Write the file in one step, readable by this user only, never through a link."""
    make_private_folder(path.parent)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)
