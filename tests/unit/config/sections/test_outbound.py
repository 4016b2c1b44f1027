"""Proxies and certificates of providers, from the file and the environment into the specification."""

from pathlib import Path

import pytest

from gateway.config.spec import ClientTlsSpec, ProviderSpec, ProxySpec
from gateway.core.secret import Secret
from tests.support.certificates import FOLDER
from tests.unit.config.conftest import Files, config

PROXIED = {"https_proxy": "http://env.example:3128"}


def web(settings: str) -> str:
    """Give a file whose provider `web` has these settings."""
    return config(providers=f"providers: {{local: {{kind: llamacpp}}, web: {{kind: openai, {settings}}}}}")


def provider(files: Files, settings: str, env: dict[str, str] | None = None) -> ProviderSpec:
    return files.load(web(settings), env or {}).spec.providers["web"]


def test_the_file_wins_over_the_environment(files: Files) -> None:
    assert provider(files, "auth: bearer").proxy is None
    assert provider(files, "auth: bearer", PROXIED).proxy == ProxySpec("env.example", 3128)
    assert provider(files, "proxy: none", PROXIED).proxy is None
    own = provider(files, "proxy: 'http://u:${PW}@own.example:1'", PROXIED | {"PW": "hush"}).proxy
    assert own == ProxySpec("own.example", 1, Secret("u:hush")) and "hush" not in repr(own)


def test_a_proxy_of_the_environment_is_for_urls_only(files: Files) -> None:
    spec = files.load(web("url: 'http://127.0.0.1:1/v1'"), {"all_proxy": "http://env.example:1"}).spec
    assert spec.providers["web"].proxy is None and spec.providers["local"].proxy is None


def test_several_urls_share_one_way(files: Files) -> None:
    urls = "urls: ['https://a.example/v1', 'https://b.example/v1']"
    assert provider(files, urls).proxy is None
    assert provider(files, urls, PROXIED).proxy == ProxySpec("env.example", 3128)
    assert provider(files, f"{urls}, proxy: none", PROXIED | {"no_proxy": "b.example"}).proxy is None


@pytest.mark.parametrize(
    ("settings", "env", "message"),
    [
        (
            "urls: ['https://a.example', 'https://b.example']",
            PROXIED | {"no_proxy": "b.example"},
            "providers.web: the environment sends some of its URLs through a proxy and others not; say proxy: … here, or make two "
            "providers",
        ),
        (
            "urls: ['https://127.0.0.1:1', 'http://127.0.0.1:1'], tls: {ca: ca.pem}",
            {},
            "providers.web.tls: is for https:// URLs; this provider's is http://",
        ),
        (
            "proxy: 'socks5://u:hush@p:1'",
            {},
            "providers.web.proxy: must be a proxy that is spoken to over http:// (TLS to a provider passes through it)",
        ),
        (
            "auth: bearer",
            {"HTTPS_PROXY": "socks5://u:hush@p:1"},
            "providers.web: the environment variable HTTPS_PROXY must be a proxy that is spoken to over http:// "
            "(TLS to a provider passes through it); mend it, or say proxy: none here",
        ),
        ("tls: {ca: no.pem}", {}, 'providers.web.tls.ca: no such file (got "no.pem")'),
        ("tls: {ca: text.pem}", {}, 'providers.web.tls.ca: holds no certificate in PEM (got "text.pem")'),
        ("tls: {ca: first.pem}", {}, 'providers.web.tls.ca: holds no certificate of an authority (got "first.pem")'),
        ("tls: {cert: first.pem}", {}, "providers.web.tls.key: is missing; a cert is of no use without it"),
        ("tls: {key: first.key}", {}, "providers.web.tls.cert: is missing; a key is of no use without it"),
        (
            "tls: {cert: first.pem, key: second.key}",
            {},
            'providers.web.tls.key: is not the key of the certificate (got "second.key")',
        ),
        ("tls: {cert: text.pem, key: first.key}", {}, "providers.web.tls.cert: holds no certificate in PEM"),
        ("tls: {cert: first.pem, key: text.pem}", {}, "providers.web.tls.key: and its certificate can't be used"),
        ("tls: {}", {}, "providers.web.tls: must not be empty"),
        ("tls: {verify: false}", {}, "providers.web.tls.verify: unknown key"),
        (
            "url: 'http://127.0.0.1:1', tls: {ca: ca.pem}",
            {},
            "providers.web.tls: is for https:// URLs; this provider's is http://",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place_and_no_secret(
    files: Files, settings: str, env: dict[str, str], message: str
) -> None:
    take_certificates(files.path.parent)
    (error,) = files.errors(web(settings), env)
    assert message in error
    assert "hush" not in error


def test_the_texts_of_certificates_are_taken_and_their_files_watched(files: Files) -> None:
    take_certificates(files.path.parent)
    loaded = files.load(web("tls: {ca: ca.pem, cert: first.pem, key: first.key}"), {})
    texts = [(FOLDER / name).read_text() for name in ("ca.pem", "first.pem", "first.key")]
    assert loaded.spec.providers["web"].tls == ClientTlsSpec(texts[0], texts[1], Secret(texts[2]))
    assert {path.name for path in loaded.files} == {"gateway.yaml", "ca.pem", "first.pem", "first.key"}
    other = files.load(web("tls: {ca: ca.pem}"), {})
    assert other.spec.providers["web"].tls == ClientTlsSpec(texts[0])
    assert other.spec.digest != loaded.spec.digest


def test_a_server_of_the_gateways_own_takes_neither(files: Files) -> None:
    text = config(providers="providers: {local: {kind: llamacpp, proxy: none}, web: {kind: openai, key: '${KEY:-}'}}")
    (error,) = files.errors(text, {})
    assert "the kind llamacpp is served by the gateway itself and takes no proxy" in error


def take_certificates(folder: Path) -> None:
    for path in FOLDER.glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "text.pem").write_text("nothing of the kind")
