"""The way to each provider: its proxy, from the file or the environment, and the authorities that its TLS trusts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.config.files import absolute, read_bounded
from gateway.config.nodes import Trail
from gateway.config.proxies import proxy_variable, read_proxy_url
from gateway.config.read import Reader
from gateway.config.section import FilesContext, Kinds
from gateway.config.sections.providers.spec import ClientTlsSpec
from gateway.core.client_tls import ClientTlsError, client_context
from gateway.core.secret import Secret

MAX_PEM_BYTES: Final = 2**20  # a system's whole bundle has a quarter of that


def read_outbound(reader: Reader, context: FilesContext) -> dict[Path, bytes]:
    """Put into each provider's settings its proxy and the texts of its certificates; return the files that were read.

    Notes in `reader` what can't be read or used.
    """
    files: dict[Path, bytes] = {}
    providers = reader.values.get("providers") if isinstance(reader.values, dict) else None
    for name, settings in providers.items() if isinstance(providers, dict) else ():
        if not isinstance(settings, dict):
            continue
        trail: Trail = ("providers", name)
        urls = _urls(settings, context.kinds)
        if urls:
            _put_proxy(reader, trail, settings, urls, context.env)
        if isinstance(settings.get("tls"), dict):
            if any(url.startswith("http:") for url in urls):
                reader.complain((*trail, "tls"), "is for https:// URLs; this provider's is http://", at_key=True)
            else:
                _put_tls(reader, (*trail, "tls"), settings, context.directory, files)
    return files


def _urls(settings: Mapping[str, Any], kinds: Kinds) -> list[str]:
    """Return a provider's sound URLs."""
    kind = settings.get("kind")
    found = kinds.get(kind) if isinstance(kind, str) else None
    if found is None or found.is_managed:
        return []
    urls = settings.get("urls", [settings.get("url", found.default_url)])
    return [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def _put_proxy(reader: Reader, trail: Trail, settings: dict[str, Any], urls: list[str], env: Mapping[str, str]) -> None:
    if "proxy" in settings:
        if settings["proxy"] == "none":
            settings["proxy"] = None
        return
    first, *others = [proxy_variable(url, env) for url in urls]
    if any(other != first for other in others):
        message = "the environment sends some of its URLs through a proxy and others not; say proxy: … here, or make two providers"
        reader.complain(trail, message, at_key=True)
    elif first is not None:
        try:
            settings["proxy"] = read_proxy_url(env[first])
        except ValueError as error:
            message = f"the environment variable {first} {error}; mend it, or say proxy: none here"
            reader.complain(trail, message, at_key=True)


def _put_tls(reader: Reader, trail: Trail, settings: dict[str, Any], directory: Path, files: dict[Path, bytes]) -> None:
    given = settings["tls"]
    for one, other in (("cert", "key"), ("key", "cert")):
        if one in given and other not in given:
            reader.complain((*trail, other), f"is missing; a {one} is of no use without it")
            return
    texts = {}
    for part, path in given.items():
        if part not in ("ca", "cert", "key") or not isinstance(path, str):
            return  # the schema has refused it
        data, fault = read_bounded(absolute(directory / path), MAX_PEM_BYTES)
        if data is None:
            reader.complain((*trail, part), f"{fault}{reader.got((*trail, part))}")
            return
        files[absolute(directory / path)] = data
        texts[part] = data.decode("ascii", "replace")
    try:
        client_context(**texts)
    except ClientTlsError as error:
        at = (*trail, error.part)
        reader.complain(at, f"{error}{reader.got(at)}")
        return
    key = texts.get("key")
    settings["tls"] = ClientTlsSpec(texts.get("ca", ""), texts.get("cert", ""), None if key is None else Secret(key))
