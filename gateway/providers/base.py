"""What every kind of provider does: say where requests go, with which constant head, and what its faults mean."""

from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from gateway import __version__
from gateway.config.spec import ModelSpec, ProviderSpec, ProxySpec
from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    ProtocolError,
    QuotaUsedUp,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.kinds import ProviderKind
from gateway.core.registry import Registry
from gateway.providers.base_url import BaseUrl
from gateway.providers.error_body import COMMON_PATTERNS, ErrorMeaning, ErrorPatterns
from gateway.providers.retry_after import rate_limit_wait_s, stated_wait_s
from gateway.providers.tls_contexts import TlsContexts, tls_fingerprint
from gateway.providers.transport import Origin, Proxy

VIA: Final = "1.1 llm-gateway"
GATEWAY: Final = VIA.split()[1]

PASSED_ON: Final = (
    "content-type",
    "accept",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "traceparent",
    "tracestate",
)
"""What crosses of a client's headers where its request is passed through, beside those of the provider's own API."""


class Provider(Protocol):
    """One configured provider. Immutable: a reload makes a new one."""

    kind: ClassVar[ProviderKind]
    name: str
    dialects: tuple[str, ...]  # the wire formats that it speaks, by their names; for others the first is translated to
    client_headers: Mapping[
        str, str
    ]  # of the client's, passed on; each with what is sent where it has none, "" for nothing
    origin: Origin
    path_names_model: bool  # one for each model: the model's id stands in the path of a request

    def health_check_head(self, path: str) -> bytes | None:
        """Give the whole head of the request that finds out whether the provider is well, and costs nothing.

        `path` is below the host; "": what the kind knows, None where it knows nothing.
        """
        ...

    def request_head(self, path: str, model_id: str = "") -> bytes:
        """Give the request line and every header that is the same for all requests to `path`, without the blank line.

        `model_id` counts where the provider has a place for each model (`path_names_model`).
        """
        ...

    def pass_through_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """Give the request line and headers of a request that is passed through, without the blank line.

        `target`: its path and query as the client sent them; `headers`: the client's, of which only those on a list cross.
        """
        ...

    def model_id(self, model: ModelSpec, asked: str) -> str:
        """Give the name under which the provider knows `model`, which the client called `asked`."""
        ...

    def redact(self, body: bytes) -> bytes:
        """Give the body of an error without the gateway's key, should the provider repeat it."""
        ...

    def classify_error(
        self, status: int, headers: Mapping[bytes, bytes], body: bytes, wall_s: float | None = None
    ) -> UpstreamError:
        """Say what an answer with a status other than 200 means. `wall_s`: the time since the epoch, to read dates by."""
        ...


REDACTED_MIN_BYTES: Final = 12  # bytes of a key that don't stand in another text by chance

KINDS: Registry["type[HttpProvider]"] = Registry("provider kind")
"""Kind to class; a class takes its `ProviderSpec`, the address of the child that serves it ("" for none), and TLS contexts."""


class HttpProvider:
    """The parts that providers over HTTP share: the URL, the key, and what each status means."""

    kind: ClassVar[ProviderKind]
    DIALECTS: ClassVar[tuple[str, ...]] = ()
    CLIENT_HEADERS: ClassVar[Mapping[str, str]] = MappingProxyType({"idempotency-key": ""})
    health_path: ClassVar[str] = ""  # what can be asked for nothing, below the base URL
    error_patterns: ClassVar[ErrorPatterns] = COMMON_PATTERNS

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: TlsContexts | None = None) -> None:
        url = urlsplit(spec.url)
        self.name = spec.name
        self.dialects = self.DIALECTS  # a kind that stands for many servers says more
        self._fixed = fixed = frozenset(name.lower() for name in spec.headers)
        self.client_headers: Mapping[str, str] = {
            name: value for name, value in self.CLIENT_HEADERS.items() if name not in fixed
        }
        self.base = BaseUrl(spec.url)
        self.path_names_model = self.base.path_names_model
        if address:
            self.origin = Origin(unix=address.removeprefix("unix:"))
            self._host = "localhost"
        else:
            is_tls = url.scheme == "https"
            self.origin = Origin(
                host=url.hostname or "",
                port=url.port or (443 if is_tls else 80),
                is_tls=is_tls,
                proxy=_proxy(spec.proxy),
                tls=tls_fingerprint(spec.tls),
                context=(contexts or TlsContexts()).of(spec.tls) if is_tls else None,
            )
            self._host = url.netloc.rpartition("@")[2]
        # Without TLS a proxy reads the head; with TLS there is a tunnel through it.
        self._reader = None if self.origin.is_tls else self.origin.proxy
        key = spec.key.value.encode() if spec.key else b""
        self._secret = key if len(key) >= REDACTED_MIN_BYTES else None
        self._headers = {
            "host": self._host,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            "user-agent": f"llm-gateway/{__version__}",
            "via": VIA,
            **_credential(spec),
            **{name.lower(): value for name, value in spec.headers.items()},
        }
        if self._reader is not None and self._reader.authorization:
            self._headers["proxy-authorization"] = self._reader.authorization

    def request_head(self, path: str, model_id: str = "") -> bytes:
        return self._head("POST", self.base.target(self._below(path), model_id), self._headers)

    def pass_through_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        own = {name: value for name, value in self._headers.items() if name not in PASSED_ON or name in self._fixed}
        passed_on = {name: "" for name in PASSED_ON if name not in own}
        lines = ""
        for name, otherwise in (passed_on | dict(self.client_headers)).items():
            if value := headers.get(name, otherwise):
                lines += f"{name}: {value}\r\n"
        if GATEWAY in ", ".join(all_values(headers, "via")).lower():
            lines += f"via: {VIA}\r\n"  # beside our own: two gateways are a chain, a third time round is a loop
        head = self._head(method, self.base.target_without_model(self._below(target)), own)
        return head + lines.encode("utf-8", "surrogateescape")

    def _below(self, path: str) -> str:
        """Give a path of the API as it stands below the base URL."""
        return path

    def health_check_head(self, path: str) -> bytes | None:
        if not path and not self.health_path:
            return None
        headers = {name: value for name, value in self._headers.items() if name != "content-type"}
        return self._head("GET", path or self.base.target_without_model(self.health_path), headers) + b"\r\n"

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        authority = f"http://{self._host}" if self._reader is not None else ""
        lines = [f"{method} {authority}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def model_id(self, model: ModelSpec, asked: str) -> str:
        return asked if model.is_family else model.id

    def redact(self, body: bytes) -> bytes:
        return body if self._secret is None else body.replace(self._secret, b"***")

    def classify_error(
        self, status: int, headers: Mapping[bytes, bytes], body: bytes, wall_s: float | None = None
    ) -> UpstreamError:
        """The table of faults, by status and by what the body says; every kind that speaks HTTP shares it.

        | status        | body says                   | fault          |
        |---------------|-----------------------------|----------------|
        | 2xx, 3xx      |                             | malformed      |
        | 400, 413, 422 | too long for the model      | context_length |
        | 400, 403, 422 | refused by policy           | content_policy |
        | 401, 403      | anything else               | credential     |
        | 429           | the credit is used up       | quota          |
        | 429           | anything else               | rate_limited   |
        | other 4xx     |                             | rejected       |
        | 5xx           |                             | server_error   |
        | others        |                             | malformed      |
        """
        error: UpstreamError
        meaning = self.error_patterns.meaning(body, MEANINGS[status]) if status in MEANINGS else None
        if status < 300 or status > 599:
            error = ProtocolError(f"the provider answered {status} where an answer was due")
        elif status < 400:
            error = ProtocolError("the provider answered with a redirect")
        elif meaning == "quota":
            error = QuotaUsedUp("the gateway's quota at the provider is used up")
        elif status == 429:
            error = UpstreamRateLimited(
                "the provider is rate limited", retry_after_s=rate_limit_wait_s(headers, wall_s)
            )
        elif status in (401, 403) and meaning is None:
            error = CredentialRefused("the provider refused the gateway's own credential")
        elif status < 500:
            error = _rejection(meaning, status, headers, body)
        else:
            wait_s = stated_wait_s(headers, wall_s)
            error = Unavailable(f"the provider answered {status}", status=status, retry_after_s=wait_s)
        error.upstream_status = status
        return error


def all_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Give every value of a header that may stand several times."""
    get_all = getattr(headers, "getall", None)
    return list(get_all(name, ())) if get_all is not None else [headers[name]] if name in headers else []


MEANINGS: Final[Mapping[int, frozenset[ErrorMeaning]]] = MappingProxyType(
    {
        400: frozenset({"context_length", "content_policy"}),
        403: frozenset({"content_policy"}),
        413: frozenset({"context_length"}),
        422: frozenset({"context_length", "content_policy"}),
        429: frozenset({"quota"}),
    }
)
"""What a body may say beyond each status."""


def _rejection(meaning: ErrorMeaning | None, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Rejected:
    content_type, body = _words(headers, body)
    if meaning == "context_length":
        message = "the request is too long for the model"
        return ContextTooLong(message, status=status, body=body, content_type=content_type)
    if meaning == "content_policy":
        message = "the provider's policy refuses the content"
        return ContentRefused(message, status=status, body=body, content_type=content_type)
    return Rejected("the provider rejected the request", status=status, body=body, content_type=content_type)


def _proxy(spec: ProxySpec | None) -> Proxy | None:
    if spec is None:
        return None
    credentials = "" if spec.credentials is None else b64encode(spec.credentials.value.encode()).decode()
    return Proxy(spec.host, spec.port, f"Basic {credentials}" if credentials else "")


def _words(headers: Mapping[bytes, bytes], body: bytes) -> tuple[str, bytes]:
    """Give the content type and body of a rejection as they may be passed on: nothing that only claims to be JSON."""
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if not content_type.isascii() or not content_type.isprintable():
        return "", body
    if "json" in content_type:
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return content_type, b""
    return content_type, body


def _credential(spec: ProviderSpec) -> dict[str, str]:
    if not spec.key:
        return {}
    if spec.auth == "bearer":
        return {"authorization": f"Bearer {spec.key.value}"}
    return {spec.auth: spec.key.value}
