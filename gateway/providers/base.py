"""What every kind of provider does: say where requests go, with which constant head, and what its faults mean."""

from base64 import b64encode
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from gateway import __version__
from gateway.config.spec import ModelSpec, ProviderSpec, ProxySpec
from gateway.core.errors import (
    CredentialRefused,
    ProtocolError,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.kinds import ProviderKind
from gateway.core.registry import Registry
from gateway.providers.contexts import Contexts, fingerprint
from gateway.providers.transport import Origin, Proxy

VIA: Final = "1.1 llm-gateway"


class Provider(Protocol):
    """One configured provider. Immutable: a reload makes a new one."""

    kind: ClassVar[ProviderKind]
    dialect: ClassVar[str]  # the wire format that it speaks: a file of `dialects`
    name: str
    origin: Origin

    def request_head(self, path: str) -> bytes:
        """Give the request line and every header that is the same for all requests to `path`, without the blank line."""
        ...

    def model_id(self, model: ModelSpec, asked: str) -> str:
        """Give the name under which the provider knows `model`, which the client called `asked`."""
        ...

    def fault(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> UpstreamError:
        """Say what an answer with a status other than 200 means."""
        ...


KINDS: Registry["type[HttpProvider]"] = Registry("provider kind")
"""Kind to class; a class takes its `ProviderSpec`, the address of the child that serves it ("" for none), and TLS contexts."""


class HttpProvider:
    """The parts that providers over HTTP share: the URL, the key, and what each status means."""

    kind: ClassVar[ProviderKind]
    dialect: ClassVar[str]

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: Contexts | None = None) -> None:
        url = urlsplit(spec.url)
        self.name = spec.name
        self.base_path = url.path.rstrip("/")
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
                tls=fingerprint(spec.tls),
                context=(contexts or Contexts()).of(spec.tls) if is_tls else None,
            )
            self._host = url.netloc.rpartition("@")[2]
        # Without TLS a proxy reads the head; with TLS there is a tunnel through it.
        self._reader = None if self.origin.is_tls else self.origin.proxy
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

    def request_head(self, path: str) -> bytes:
        authority = f"http://{self._host}" if self._reader is not None else ""
        lines = [f"POST {authority}{self.base_path}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def model_id(self, model: ModelSpec, asked: str) -> str:
        return asked if model.is_family else model.id

    def fault(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> UpstreamError:
        """The table of faults, by status; every kind that speaks HTTP shares it.

        | status   | means                                    | another endpoint? | breaker? |
        |----------|------------------------------------------|-------------------|----------|
        | 2xx      | something else than the answer, a part   | yes               | yes      |
        | 3xx      | a redirect: never followed               | yes               | yes      |
        | 401, 403 | our key is refused: not the client's     | yes               | no       |
        | 429      | too many requests                        | yes               | no       |
        | 4xx      | the request is at fault: passed on       | no                | no       |
        | 5xx      | the provider is at fault                 | yes               | yes      |
        | others   | no status at all                         | yes               | yes      |
        """
        error: UpstreamError
        if status < 300 or status > 599:
            error = ProtocolError(f"the provider answered {status} where an answer was due")
        elif status < 400:
            error = ProtocolError("the provider answered with a redirect")
        elif status in (401, 403):
            error = CredentialRefused("the provider refused the gateway's own credential")
        elif status == 429:
            retry_after_s = retry_after(headers)
            error = UpstreamRateLimited("the provider is rate limited", retry_after_s=retry_after_s)
        elif status < 500:
            content_type, body = _words(headers, body)
            error = Rejected("the provider rejected the request", status=status, body=body, content_type=content_type)
        else:
            error = Unavailable(f"the provider answered {status}", status=status, retry_after_s=retry_after(headers))
        error.upstream_status = status
        return error


def retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Give the seconds of a `Retry-After` header in its numeric form (RFC 9110, 10.2.3); None where there is none."""
    value = headers.get(b"retry-after", b"").strip()
    return float(value) if value.isdigit() and len(value) < 8 else None


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
