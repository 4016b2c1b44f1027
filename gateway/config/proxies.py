"""HTTP proxies between the gateway and providers: their URLs, and the variables in which an environment names them.

The variables are read as curl reads them: lower case wins over upper case, an empty one counts as unset, `ALL_PROXY` stands in
for the other two, and a proxy without a port listens on 1080. Beyond curl, `HTTP_PROXY` is read in upper case too, entries of
`NO_PROXY` may have a port, and this machine itself is never reached through a proxy of the environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.core.secret import Secret

DEFAULT_PORT: Final = 1080
_WANTED: Final = "must be the URL of an HTTP proxy, such as http://proxy.example:3128, or none"


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """An HTTP proxy on the way to a provider. `credentials`: user:password."""

    host: str
    port: int
    credentials: Secret | None = None


def read_proxy_url(text: str) -> ProxySpec:
    """Read the URL of a proxy, user name and password in it if need be. Raises ValueError, which says what would be right."""
    if "://" not in text:
        text = f"http://{text}"
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(_WANTED)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(_WANTED) from None
    if parts.scheme != "http":
        raise ValueError("must be a proxy that is spoken to over http:// (TLS to a provider passes through it)")
    if not parts.hostname or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(_WANTED)
    credentials = None
    if parts.username is not None:
        credentials = Secret(f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    return ProxySpec(parts.hostname, port or DEFAULT_PORT, credentials)


def proxy_variable(url: str, env: Mapping[str, str]) -> str | None:
    """Give the name of the variable that holds the proxy for `url`; None where there is none, or `NO_PROXY` excepts it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if _is_this_machine(host):
        return None
    name = _set_variable(f"{parts.scheme}_proxy", env) or _set_variable("all_proxy", env)
    excepted = _set_variable("no_proxy", env)
    if name is None or (excepted is not None and is_excepted(host, port, env[excepted])):
        return None
    return name


def is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether a list as in `NO_PROXY` names a host: itself, a domain above it, its network, or `*`."""
    return any(_fits(host.lower().rstrip("."), port, entry.lower()) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _fits(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    with_port = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", entry)
    if with_port is not None:
        if int(with_port[2]) != port:
            return False
        entry = with_port[1]
    entry = entry.strip("[]").lstrip(".").rstrip(".")
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # one of the two is a name
        return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _set_variable(name: str, env: Mapping[str, str]) -> str | None:
    return next((one for one in (name, name.upper()) if env.get(one)), None)
