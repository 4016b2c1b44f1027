"""The name of a request: the client's own where it is a decent one, else ours."""

import re
import secrets
from collections.abc import Mapping
from itertools import count

from gateway.core.exchange import RequestId

_DECENT = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestIds:
    """Gives ids that are unique over workers and restarts."""

    def __init__(self) -> None:
        self._prefix = f"req-{secrets.token_hex(6)}-"
        self._numbers = count(1)

    def of(self, headers: Mapping[str, str]) -> RequestId:
        """Give the id of the request with these headers."""
        given = headers.get("x-request-id")
        if given is not None and _DECENT.fullmatch(given):
            return RequestId(given)
        return RequestId(f"{self._prefix}{next(self._numbers)}")
