"""Request ids: the client's `x-request-id` if it is acceptable, otherwise a generated one."""

import re
import secrets
from collections.abc import Mapping
from itertools import count

from gateway.core.exchange import RequestId

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestIds:
    """Generates ids that are unique across workers and restarts."""

    def __init__(self) -> None:
        self._prefix = f"req-{secrets.token_hex(6)}-"
        self._numbers = count(1)

    def of(self, headers: Mapping[str, str]) -> RequestId:
        """Return the id of the request with these headers."""
        given = headers.get("x-request-id")
        if given is not None and _ACCEPTABLE.fullmatch(given):
            return RequestId(given)
        return RequestId(f"{self._prefix}{next(self._numbers)}")
