"""TLS from texts: errors name the file, and a listener's certificate can change under it."""

import ssl
from pathlib import Path

import pytest

from gateway.core.tls import TlsError, reloading_context, server_context
from tests.support.certificates import FOLDER, trusting_context


def text(name: str) -> str:
    return (FOLDER / name).read_text()


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = "localhost") -> ssl.SSLObject:
    """Let both shake hands in memory; gives the client's side."""
    client.check_hostname = name is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours


def common_name(connection: ssl.SSLObject) -> str:
    certificate = connection.getpeercert()
    assert certificate is not None
    return str(certificate["subject"][0][0][1])


def test_a_client_that_trusts_the_authority_is_served() -> None:
    client = trusting_context()
    client.set_alpn_protocols(["h2", "http/1.1"])
    connection = shake_hands(server_context(text("first.pem"), text("first.key")), client)
    assert connection.version() == "TLSv1.3"
    assert connection.selected_alpn_protocol() == "http/1.1"


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    for context in (server_context(text("first.pem"), text("first.key")), reloading_context(trusting_context)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("cert", "key", "part", "said"),
    [
        ("first.key", "first.key", "cert", "holds no certificate in PEM"),
        ("README.md", "first.key", "cert", "holds no certificate in PEM"),
        ("first.pem", "README.md", "key", "holds no private key in PEM"),
        ("first.pem", "first.pem", "key", "holds no private key in PEM"),
        ("first.pem", "second.key", "key", "is not the key of the certificate"),
        ("ca.pem", "first.key", "key", "is not the key of the certificate"),
        ("first.pem", "encrypted.key", "key", "is encrypted, and the gateway has no password for it; decrypt it"),
    ],
)
def test_the_error_names_the_right_file(cert: str, key: str, part: str, said: str) -> None:
    with pytest.raises(TlsError) as caught:
        server_context(text(cert), text(key))
    assert (caught.value.part, str(caught.value)) == (part, said)


@pytest.mark.parametrize("cert", ["", "\ufffd\ufffd", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_text_without_a_certificate_is_refused(cert: str) -> None:
    with pytest.raises(TlsError, match="holds no certificate in PEM"):
        server_context(cert, text("first.key"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["localhost", None])
def test_the_certificate_of_the_moment_is_shown_whatever_its_kind(version: ssl.TLSVersion, name: str | None) -> None:
    served = [server_context(text("first.pem"), text("first.key"))]
    context = reloading_context(lambda: served[-1])

    def client() -> ssl.SSLContext:
        made = trusting_context()
        made.maximum_version = version
        return made

    before = shake_hands(context, client(), name)
    served.append(server_context(text("second.pem"), text("second.key")))
    assert (common_name(before), common_name(shake_hands(context, client(), name))) == ("first", "second")


def test_no_key_is_left_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server_context(text("first.pem"), text("first.key"))
    assert list(tmp_path.iterdir()) == []
