"""The base of all errors: status, type and code for the client, and what the error means for retries and the breaker."""

from dataclasses import dataclass
from typing import ClassVar

from gateway.core.response import Response


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A code that clients see: its status, when it is sent, and whether it counts for the breaker of the endpoint."""

    code: str
    status: str
    when: str
    hurts_breaker: bool = False


class GatewayError(Exception):
    """An error as the client gets it. Class attributes describe the kind of error, instances the particular one.

    `status` and `type` are OpenAI's; `code` is machine-readable and more specific; `message` never holds a secret, a path, an
    address or prompt text.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    request_id: str = ""  # of the request, for formats whose errors hold it
    response: Response | None = None  # the provider's own refusal of a request that is passed through, sent as it came

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = code or type(self).code
        self.http_status = status or type(self).status
        self.retry_after_s = retry_after_s

    @property
    def is_retryable(self) -> bool:
        """Whether another endpoint may be tried."""
        return False

    @property
    def hurts_breaker(self) -> bool:
        """Whether it counts as a failure of the endpoint."""
        return False


class ClientStalled(GatewayError):
    """The client stopped reading; its connection is cut. It receives no error."""

    status = 499
    type = "client_error"
    code = "client_stalled"
