"""Listeners however they are written, and the certificates that they name."""

from pathlib import Path

import pytest

from gateway.config.spec import Listen, TlsSpec
from gateway.config.static import static_changes
from gateway.core.secret import Secret
from tests.support.certificates import FOLDER, install
from tests.unit.config.conftest import Files, config

TLS = "tls: {cert: tls/tls.crt, key: tls/tls.key}"


def listening(listen: str, more: str = "") -> str:
    """Give the text of a file that listens so."""
    return config(server=f"server: {{listen: {listen}{more}}}")


def folder(files: Files) -> Path:
    return files.path.parent


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'127.0.0.1:1'", [Listen("127.0.0.1", 1)]),
        ("{address: '[::1]:1'}", [Listen("::1", 1)]),
        ("['127.0.0.1:1', {address: 'localhost:2'}]", [Listen("127.0.0.1", 1), Listen("localhost", 2)]),
        ("{address: 'unix:/g', mode: 0660, owner: 'a:b'}", [Listen(path="/g", mode=0o660, owner="a:b")]),
        ("[{address: 'unix:/g', mode: '600', owner: ':b'}]", [Listen(path="/g", mode=0o600, owner=":b")]),
    ],
)
def test_a_listener_is_an_address_or_a_mapping_alone_or_in_a_list(
    written: str, read: list[Listen], files: Files
) -> None:
    assert list(files.load(listening(written)).spec.server.listen) == read


def test_the_admin_listener_takes_the_same(files: Files) -> None:
    text = config(server="server: {admin: {listen: {address: 'unix:a.sock', mode: '0600'}}}")
    assert files.load(text).spec.server.admin.listen == Listen(path=str(folder(files) / "a.sock"), mode=0o600)


def test_certificates_are_read_beside_the_file_and_counted_among_its_files(files: Files) -> None:
    install("first", folder(files) / "tls")
    loaded = files.load(listening(f"{{address: '127.0.0.1:1', {TLS}}}"))
    (listen,) = loaded.spec.server.listen
    assert listen.tls == TlsSpec((FOLDER / "first.pem").read_text(), Secret((FOLDER / "first.key").read_text()))
    assert loaded.files[-2:] == (folder(files) / "tls/tls.crt", folder(files) / "tls/tls.key")
    assert "PRIVATE" not in repr(loaded.spec)


def test_another_certificate_is_another_configuration_and_nothing_static(files: Files) -> None:
    text = listening(f"{{address: '127.0.0.1:1', {TLS}}}", f", admin: {{listen: {{address: '127.0.0.1:2', {TLS}}}}}")
    install("first", folder(files) / "tls")
    before = files.load(text).spec
    install("second", folder(files) / "tls")
    after = files.load(text).spec
    assert before.digest != after.digest
    assert static_changes(before, after) == ()


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("'127.0.0.1:1'", f"{{address: '127.0.0.1:1', {TLS}}}", ("server.listen",)),
        ("'unix:/g'", "{address: 'unix:/g', mode: '0600'}", ("server.listen",)),
        ("'unix:/g'", "{address: 'unix:/g', owner: a}", ("server.listen",)),
        ("'127.0.0.1:1'", "{address: '127.0.0.1:1'}", ()),
    ],
)
def test_all_else_about_a_listener_is_static(before: str, after: str, named: tuple[str, ...], files: Files) -> None:
    install("first", folder(files) / "tls")
    assert static_changes(files.load(listening(before)).spec, files.load(listening(after)).spec) == named


def test_origins_are_static(files: Files) -> None:
    with_cors = files.load(listening("'127.0.0.1:8000'", ", cors: 'https://App.example:443'")).spec
    assert with_cors.server.cors == ("https://app.example",)
    assert static_changes(files.load(config()).spec, with_cors) == ("server.cors",)


def test_what_is_wrong_with_certificates_is_told_at_their_places(files: Files) -> None:
    install("first", folder(files) / "good")
    install("second", folder(files) / "other")
    (folder(files) / "folder").mkdir()
    text = config(
        server="""server:
  listen:
    - {address: "127.0.0.1:1", tls: {cert: good/tls.crt, key: good/none.key}}
    - {address: "127.0.0.1:2", tls: {cert: folder, key: good/tls.key}}
    - {address: "127.0.0.1:3", tls: {cert: good/tls.crt, key: other/tls.key}}
    - {address: "127.0.0.1:4", tls: {cert: good/tls.key, key: good/tls.key}}
  admin: {listen: {address: "127.0.0.1:5", tls: {cert: good/tls.crt, key: good/tls.crt}}}"""
    )
    assert files.errors(text) == [
        '7:63: server.listen[0].tls.key: no such file (got "good/none.key")',
        '8:44: server.listen[1].tls.cert: is a directory (got "folder")',
        '9:63: server.listen[2].tls.key: is not the key of the certificate (got "other/tls.key")',
        '10:44: server.listen[3].tls.cert: holds no certificate in PEM (got "good/tls.key")',
        '11:75: server.admin.listen.tls.key: holds no private key in PEM (got "good/tls.crt")',
    ]


def test_all_pages_and_no_tenants_are_worth_a_warning(files: Files) -> None:
    warnings = [one.message for one in files.load(listening("'127.0.0.1:1'", ", cors: ['*']")).warnings]
    assert "without tenants every page that a browser can show may ask without a key" in warnings
