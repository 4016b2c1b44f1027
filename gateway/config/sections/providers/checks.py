"""The semantic checks of `providers`: keys and URLs, of which there may be several."""

from typing import Any

from gateway.config.names import Names
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader
from gateway.config.secrets import referred
from gateway.core.secret import Secret


def check_providers(reader: Reader, names: Names) -> None:
    """Refuse both `key` and `keys`, or `url` and `urls`; warn of each provider that is off and of keys that are left out."""
    for provider, settings in names.providers.items():
        if not isinstance(settings, dict):
            continue
        trail: Trail = ("providers", provider)
        for one, several in (("key", "keys"), ("url", "urls")):
            if one in settings and several in settings:
                message = f"stands beside {one}; give {one} for one, or {several} for several"
                reader.complain((*trail, several), message, at_key=True)
        _same_urls(reader, (*trail, "urls"), settings.get("urls"))
        if names.is_off(provider):
            _warn_off(reader, trail, settings)
        elif isinstance(settings.get("keys"), list):
            _warn_left_out(reader, (*trail, "keys"), settings["keys"])


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
