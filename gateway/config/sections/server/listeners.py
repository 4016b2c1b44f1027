"""What stands under `server.listen` and `server.admin.listen`, however it is written, and the certificates it names.

A listener is an address alone, or a mapping with `address`, and what belongs to it; `server.listen` takes one or a list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.config.address import Listen, TlsSpec
from gateway.config.files import absolute, read_bounded
from gateway.config.messages import path_text
from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import FilesContext
from gateway.config.sections.server.spec import AdminSpec, ServerSpec
from gateway.core.secret import Secret
from gateway.core.tls import TlsError, server_context

MAX_PEM_BYTES = 256 * 2**10

LISTEN: Trail = ("server", "listen")
ADMIN_LISTEN: Trail = ("server", "admin", "listen")


@dataclass(frozen=True, slots=True)
class _Written:
    """One listener as it stands in the file; anything in it may be broken."""

    trail: Trail
    value: Any  # an address, or the mapping

    @property
    def settings(self) -> dict[str, Any]:
        return self.value if isinstance(self.value, dict) else {"address": self.value}

    @property
    def address(self) -> Listen | None:
        found = self.settings.get("address")
        return found if isinstance(found, Listen) else None

    @property
    def address_trail(self) -> Trail:
        return (*self.trail, "address") if isinstance(self.value, dict) else self.trail


def data_listeners(server: Mapping[str, Any], directory: Path) -> tuple[Listen, ...]:
    """Return the public listeners of sound settings; relative paths are taken from `directory`."""
    return tuple(_listen(one, directory) for one in _data(server))


def admin_listener(server: Mapping[str, Any], directory: Path) -> Listen:
    """Return the admin listener of sound settings."""
    return _listen(_admin(server), directory)


def check_listeners(reader: Reader, names: Names) -> None:
    """Refuse listeners that share an address, settings that do not fit the address, and public ones without tenants."""
    admin = _admin(names.server)
    allowed = names.server.get("allow_without_keys", "loopback")
    is_open_unasked = allowed == "loopback" and not names.tenants and "tenants" not in names.broken
    first: dict[Listen, Trail] = {}
    for one in _data(names.server):
        # A list that has a single text in its place: the file knows no index.
        is_bare = isinstance(names.server.get("listen"), list) and reader.scalar(LISTEN) is not None
        trail = LISTEN if is_bare else one.address_trail
        address = one.address
        if address is None:
            continue
        if address == admin.address and (address.path or address.port):
            reader.complain(trail, f"the admin listener has the same address{reader.got(trail)}")
        if (there := first.setdefault(address, trail)) != trail:
            reader.complain(trail, f"the same address as {path_text(there)}")
        if not address.is_local and is_open_unasked:
            message = (
                "this address is open to other machines and there are no tenants, so anybody could ask without a key"
            )
            reader.complain(trail, f"{message}; add tenants, or say allow_without_keys: everyone")
    for one in (*_data(names.server), admin):
        for setting in ("mode", "owner"):
            if setting in one.settings and one.address is not None and not one.address.path:
                reader.complain((*one.trail, setting), "is for a Unix socket; a TCP address has no file", at_key=True)
    if allowed == "everyone" and names.tenants:
        reader.warn(
            ("server", "allow_without_keys"), "has no effect while there are tenants: every request needs a key"
        )
    cors = names.server.get("cors")
    if isinstance(cors, list) and "*" in cors and not names.tenants and "tenants" not in names.broken:
        reader.warn(("server", "cors"), "without tenants every page that a browser can show may ask without a key")


def read_certificates(reader: Reader, context: FilesContext) -> dict[Path, bytes]:
    """Put the texts of certificates and keys in the place of their paths, and return the files that were read.

    Notes in `reader` what can't be read or used, and a key that does not belong to its certificate.
    """
    files: dict[Path, bytes] = {}
    server = reader.values.get("server") if isinstance(reader.values, dict) else None
    if not isinstance(server, dict):
        return files
    for one in (*_data(server), _admin(server)):
        tls = one.settings.get("tls")
        if isinstance(tls, dict) and isinstance(tls.get("cert"), str) and isinstance(tls.get("key"), str):
            tls_spec = _read_tls(reader, (*one.trail, "tls"), tls, context.directory, files)
            if tls_spec is not None:
                one.settings["tls"] = tls_spec
    return files


def _read_tls(
    reader: Reader, trail: Trail, tls: Mapping[str, str], directory: Path, files: dict[Path, bytes]
) -> TlsSpec | None:
    texts = {}
    for part in ("cert", "key"):
        path = absolute(directory / tls[part])
        data, fault = read_bounded(path, MAX_PEM_BYTES)
        if data is None:
            reader.complain((*trail, part), f"{fault}{reader.got((*trail, part))}")
            return None
        files[path] = data
        texts[part] = data.decode("ascii", "replace")
    try:
        server_context(texts["cert"], texts["key"])
    except TlsError as error:
        at = (*trail, error.part)
        reader.complain(at, f"{error}{reader.got(at)}")
        return None
    return TlsSpec(texts["cert"], Secret(texts["key"]))


def _data(server: Mapping[str, Any]) -> Iterator[_Written]:
    listen = server.get("listen", list(ServerSpec().listen))
    if isinstance(listen, list):
        for index, value in enumerate(listen):
            yield _Written((*LISTEN, index), value)
    else:
        yield _Written(LISTEN, listen)


def _admin(server: Mapping[str, Any]) -> _Written:
    admin = server.get("admin", {})
    default = AdminSpec().listen
    return _Written(ADMIN_LISTEN, admin.get("listen", default) if isinstance(admin, dict) else None)


def _listen(one: _Written, directory: Path) -> Listen:
    address, settings = one.address, one.settings
    assert address is not None  # only sound settings are read
    return replace(
        address,
        path=str(absolute(directory / address.path)) if address.path else "",
        tls=settings.get("tls"),
        mode=settings.get("mode"),
        owner=settings.get("owner", ""),
    )
