"""The base of every kind of provider: where its requests go, with which headers, and what its errors mean.

`Provider` is what the other rooms see; `HttpProvider` is the base class of the kinds. The headers that cross are listed in
`header_policy.py`, the table of errors is in `classify.py`.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from gateway import __version__
from gateway.config.spec import ModelSpec, ProviderSpec, ProxySpec
from gateway.core.errors import UpstreamError
from gateway.core.kinds import ProviderKind
from gateway.core.registry import Registry
from gateway.core.secret import REDACTABLE_LENGTH
from gateway.providers.base_url import BaseUrl
from gateway.providers.classify import classify_response
from gateway.providers.error_body import COMMON_PATTERNS, ErrorPatterns
from gateway.providers.header_policy import (
    FROM_CLIENT_PASS_THROUGH,
    IDEMPOTENCY_KEY,
    VIA,
    HeaderRule,
    client_value,
    second_via,
)
from gateway.providers.tls_contexts import TlsContexts, tls_fingerprint
from gateway.providers.transport import Origin, Proxy


class Provider(Protocol):
    """One configured provider. Immutable: a reload makes a new one."""

    kind: ClassVar[ProviderKind]
    name: str
    dialects: tuple[
        str, ...
    ]  # names of the wire formats that it accepts; requests in others are translated to the first
    client_headers: Mapping[
        str, str
    ]  # a client's headers of this API that are sent on, with their defaults ("" = none)
    origin: Origin
    path_names_model: bool  # the path of a request holds the model's id, so request heads differ by model

    def health_check_head(self, path: str) -> bytes | None:
        """Return the whole head of a request that checks the provider's health and costs nothing.

        `path` is below the host; "" for the kind's own check, None where the kind has none.
        """
        ...

    def request_head(self, path: str, model_id: str = "") -> bytes:
        """Return the request line and every header that is the same for all requests to `path`, without the blank line.

        `model_id` matters where `path_names_model`.
        """
        ...

    def pass_through_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """Return the request line and headers of a pass-through request, without the blank line.

        `target`: path and query as the client sent them. `headers`: the client's; `header_policy.py` says which are sent on.
        """
        ...

    def model_id(self, model: ModelSpec, requested: str) -> str:
        """Return the provider's name of `model`, which the client requested as `requested`."""
        ...

    def redact(self, body: bytes) -> bytes:
        """Return the body of an error with the gateway's key replaced, in case the provider repeats it."""
        ...

    def classify_error(
        self,
        status: int,
        headers: Mapping[bytes, bytes],
        body: bytes,
        wall_s: float | None = None,
        *,
        names_model: bool = False,
    ) -> UpstreamError:
        """Return the error that a response with a status other than 200 means. `wall_s`: seconds since the epoch, to read dates.

        `names_model`: the configuration, not the client, chose the model that was requested.
        """
        ...


KINDS: Registry["type[HttpProvider]"] = Registry("provider kind")
"""Kind to class. A class takes a `ProviderSpec`, the address of the child process that serves it ("" = none), and TLS contexts."""


class HttpProvider:
    """A provider over HTTP. A kind sets the class attributes and registers itself in `KINDS`."""

    kind: ClassVar[ProviderKind]
    DIALECTS: ClassVar[tuple[str, ...]] = ()
    CLIENT_HEADERS: ClassVar[tuple[HeaderRule, ...]] = (IDEMPOTENCY_KEY,)  # of this API
    health_path: ClassVar[str] = ""  # below the base URL; costs nothing
    error_patterns: ClassVar[ErrorPatterns] = COMMON_PATTERNS

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: TlsContexts | None = None) -> None:
        url = urlsplit(spec.url)
        self.name = spec.name
        self.dialects = self.DIALECTS  # a kind that stands for many servers reads its setting
        self._configured = configured = frozenset(name.lower() for name in spec.headers)
        self.client_headers: Mapping[str, str] = {
            rule.name: rule.default for rule in self.CLIENT_HEADERS if rule.name not in configured
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
        self._reading_proxy = None if self.origin.is_tls else self.origin.proxy
        key = spec.key.value.encode() if spec.key else b""
        self._key = key if len(key) >= REDACTABLE_LENGTH else None
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
        if self._reading_proxy is not None and self._reading_proxy.authorization:
            self._headers["proxy-authorization"] = self._reading_proxy.authorization

    def request_head(self, path: str, model_id: str = "") -> bytes:
        return self._head("POST", self.base.target(self._below(path), model_id), self._headers)

    def pass_through_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        own = {
            name: value
            for name, value in self._headers.items()
            if name not in FROM_CLIENT_PASS_THROUGH or name in self._configured
        }
        sent_on = {name: "" for name in FROM_CLIENT_PASS_THROUGH if name not in own}
        lines = ""
        for name, default in (sent_on | dict(self.client_headers)).items():
            if value := client_value(headers, name, default):
                lines += f"{name}: {value}\r\n"
        lines += second_via(headers)
        head = self._head(method, self.base.target_without_model(self._below(target)), own)
        return head + lines.encode("utf-8", "surrogateescape")

    def health_check_head(self, path: str) -> bytes | None:
        if not path and not self.health_path:
            return None
        headers = {name: value for name, value in self._headers.items() if name != "content-type"}
        return self._head("GET", path or self.base.target_without_model(self.health_path), headers) + b"\r\n"

    def _below(self, path: str) -> str:
        """Return a path of the API as it stands below the base URL."""
        return path

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        authority = f"http://{self._host}" if self._reading_proxy is not None else ""
        lines = [f"{method} {authority}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def model_id(self, model: ModelSpec, requested: str) -> str:
        return requested if model.is_family else model.id

    def redact(self, body: bytes) -> bytes:
        return body if self._key is None else body.replace(self._key, b"***")

    def classify_error(
        self,
        status: int,
        headers: Mapping[bytes, bytes],
        body: bytes,
        wall_s: float | None = None,
        *,
        names_model: bool = False,
    ) -> UpstreamError:
        return classify_response(self.error_patterns, status, headers, body, wall_s, names_model=names_model)


def _proxy(spec: ProxySpec | None) -> Proxy | None:
    if spec is None:
        return None
    credentials = "" if spec.credentials is None else b64encode(spec.credentials.value.encode()).decode()
    return Proxy(spec.host, spec.port, f"Basic {credentials}" if credentials else "")


def _credential(spec: ProviderSpec) -> dict[str, str]:
    if not spec.key:
        return {}
    if spec.auth == "bearer":
        return {"authorization": f"Bearer {spec.key.value}"}
    return {spec.auth: spec.key.value}
