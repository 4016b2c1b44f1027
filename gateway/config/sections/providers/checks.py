"""The semantic checks of `providers`: keys and URLs, of which there may be several."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config.names import Names
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader
from gateway.config.secrets import hide_keys, referred
from gateway.core.secret import Secret

_CALL: Final = re.compile(r"/(?:chat/completions|completions|responses|embeddings|messages|models)$")
_VARIABLE: Final = re.compile(
    r"(?:\$|\$\(|%|os\.environ(?:/|\.|\[[\"']|\.get\([\"'])|process\.env\.|env[:./]|\{\{? *(?:env[.:])?)"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:[\"']?[\])]|%| *\}\}?)?|(?P<bare>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"
)
"""The ways in which other programs write the name of a variable, and such a name alone."""


def check_providers(reader: Reader, names: Names) -> None:
    """Refuse both `key` and `keys`, or `url` and `urls`; warn of each provider that is off and of keys that are left out."""
    used = {names.provider_of(model) for model in names.models} | {route.get("provider") for _, route in names.routes}
    for provider, settings in names.providers.items():
        if not isinstance(settings, dict):
            continue
        trail: Trail = ("providers", provider)
        for one, several in (("key", "keys"), ("url", "urls")):
            if one in settings and several in settings:
                message = f"stands beside {one}; give {one} for one, or {several} for several"
                reader.complain((*trail, several), message, at_key=True)
        _warn_of_urls(reader, trail, settings, names)
        _warn_of_words(reader, trail, settings)
        if provider not in used:
            reader.warn(trail, "no model and no route uses this provider")
        _same_urls(reader, (*trail, "urls"), settings.get("urls"))
        if names.is_off(provider):
            _warn_off(reader, trail, settings)
        elif isinstance(settings.get("keys"), list):
            _warn_left_out(reader, (*trail, "keys"), settings["keys"])


def _warn_of_urls(reader: Reader, trail: Trail, settings: dict[str, Any], names: Names) -> None:
    """Warn of URLs that hold the path of a call, and of ones that end too early or too late for the kind."""
    kind = names.kinds.get(str(settings.get("kind")))
    if kind is None or kind.is_managed or kind.default_url is None:
        return
    own_path = urlsplit(kind.default_url).path
    urls = settings.get("urls")
    several: list[tuple[Trail, Any]] = (
        [((*trail, "urls", i), url) for i, url in enumerate(urls)] if isinstance(urls, list) else []
    )
    for at, url in ((*trail, "url"), settings.get("url")), *several:
        if not isinstance(url, str):
            continue
        path = urlsplit(url).path.rstrip("/")
        if call := _CALL.search(path):
            message = f"ends with the path of a call, {call[0]}, which the gateway adds"
            base = path[: call.start()] if own_path else path[: call.start()].removesuffix("/v1")
        elif own_path and not path:
            message = f"has no path, and most servers of the kind {kind.name} answer below {own_path} only"
            base = own_path
        elif not own_path and path.endswith("/v1"):
            message, base = "ends with /v1, which the gateway adds", path.removesuffix("/v1")
        else:
            continue
        shown = urlsplit(url)._replace(path=base).geturl()
        written = reader.scalar(at)
        reader.warn(at, message if written is None or "${" in written.text else f"{message}; give {hide_keys(shown)}")


def _warn_of_words(reader: Reader, trail: Trail, settings: dict[str, Any]) -> None:
    """Warn of keys that are the name of a variable, as other programs write it."""
    keys = settings.get("keys")
    places: list[Trail] = [(*trail, "keys", i) for i in range(len(keys))] if isinstance(keys, list) else []
    for at in ((*trail, "key"), *places):
        written = reader.scalar(at)
        if written is not None and (found := _VARIABLE.fullmatch(written.text.strip())) is not None:
            reader.warn(
                at,
                f"is sent as it stands, as text; for the environment variable write ${{{found['name'] or found['bare']}}}",
            )


def _same_urls(reader: Reader, trail: Trail, urls: Any) -> None:
    first: dict[str, int] = {}
    for index, url in enumerate(list(urls) if isinstance(urls, list) else []):
        if isinstance(url, str) and first.setdefault(url, index) != index:
            reader.complain((*trail, index), f"the same as urls[{first[url]}]; give each server once")


def _warn_off(reader: Reader, trail: Trail, settings: dict[str, Any]) -> None:
    if "keys" in settings:
        at: Trail = (*trail, "keys")
        them, sources = "keys are", [_source(reader, (*at, i)) for i in range(len(settings["keys"]))]
    else:
        at, them = (*trail, "key"), "key is"
        sources = [_source(reader, at)]
    reader.warn(at, f"provider {name(str(trail[1]))} is off: its {them} empty{_in_brackets(sources)}")


def _warn_left_out(reader: Reader, trail: Trail, keys: list[Any]) -> None:
    empty = [i for i, key in enumerate(keys) if isinstance(key, Secret) and not key]
    if empty:
        sources = _in_brackets([_source(reader, (*trail, i)) for i in empty])
        reader.warn(trail, f"{len(empty)} of {len(keys)} keys left out: empty{sources}")
    first: dict[Any, int] = {}
    for index, key in enumerate(keys):
        if isinstance(key, Secret) and key and first.setdefault(key, index) != index:
            reader.warn((*trail, index), f"the same key as keys[{first[key]}]; it counts once")


def _source(reader: Reader, trail: Trail) -> str:
    written = reader.scalar(trail)
    return referred(written.text) if written is not None else ""


def _in_brackets(sources: list[str]) -> str:
    shown = ", ".join(source for source in sources if source)
    return f" ({shown})" if shown else ""
