"""`kind: anthropic`: Anthropic itself, and every server that takes its messages at `url`."""

from typing import Final

from gateway.config.spec import ProviderSpec
from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS, HttpProvider
from gateway.providers.header_policy import IDEMPOTENCY_KEY, from_client
from gateway.providers.tls_contexts import TlsContexts

VERSION: Final = "2023-06-01"  # of the API; the gateway writes requests of it


class Anthropic(HttpProvider):
    """Its base URL ends before `/v1`, as in the official clients.

    The API's version is not in the constant heads: the client may set it, and a header must not be sent twice.
    """

    kind = ProviderKind(
        name="anthropic",
        summary="Anthropic, or any server that speaks its dialect (`/v1/messages`) at `url`",
        default_url="https://api.anthropic.com",
        default_auth="x-api-key",
    )
    DIALECTS = ("anthropic_messages", "anthropic_token_count")
    health_path = "/v1/models"
    CLIENT_HEADERS = (
        from_client("anthropic-version", "all", "the version of the API that the client's SDK is written for", VERSION),
        from_client("anthropic-beta", "all", "beta features that the client uses"),
        IDEMPOTENCY_KEY,
    )

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: TlsContexts | None = None) -> None:
        super().__init__(spec, address, contexts)
        self.base.path = self.base.path.removesuffix("/v1")

    def health_check_head(self, path: str) -> bytes | None:
        head = super().health_check_head(path)
        if head is None or "anthropic-version" not in self.client_headers:
            return head
        return head.removesuffix(b"\r\n") + f"anthropic-version: {VERSION}\r\n\r\n".encode()


KINDS.register("anthropic", Anthropic)
