import pytest

from gateway.config.proxies import is_excepted, proxy_variable, read_proxy_url
from gateway.config.spec import ProxySpec
from gateway.core.secret import Secret


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example:3128", ProxySpec("proxy.example", 3128)),
        ("http://proxy.example:3128/", ProxySpec("proxy.example", 3128)),
        ("proxy.example:3128", ProxySpec("proxy.example", 3128)),
        ("http://proxy.example", ProxySpec("proxy.example", 1080)),
        ("http://[::1]:80", ProxySpec("::1", 80)),
        ("http://user:p%40ss%3A@proxy.example:1", ProxySpec("proxy.example", 1, Secret("user:p@ss:"))),
        ("http://user@proxy.example:1", ProxySpec("proxy.example", 1, Secret("user:"))),
    ],
)
def test_a_proxy_is_an_http_url_with_or_without_its_scheme(text: str, proxy: ProxySpec) -> None:
    assert read_proxy_url(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "https://proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "http://proxy.example/path",
        "http://proxy.example?x",
        "http://proxy.example#x",
        "http://pro xy",
        "http://proxy\r\nx: y",
        "http://pröxy",
        "http://[::1",
    ],
)
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be") as caught:
        read_proxy_url(text)
    assert "proxy\r\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "env", "name"),
    [
        ("https://a.example/v1", {}, None),
        ("https://a.example/v1", {"https_proxy": "p", "HTTPS_PROXY": "q"}, "https_proxy"),
        ("https://a.example/v1", {"https_proxy": "", "HTTPS_PROXY": "q"}, "HTTPS_PROXY"),
        ("https://a.example/v1", {"http_proxy": "p"}, None),
        ("http://a.example/v1", {"http_proxy": "p"}, "http_proxy"),
        ("http://a.example/v1", {"HTTP_PROXY": "p"}, "HTTP_PROXY"),
        ("http://a.example/v1", {"https_proxy": "p"}, None),
        ("http://a.example/v1", {"ALL_PROXY": "p"}, "ALL_PROXY"),
        ("https://a.example/v1", {"all_proxy": "p", "https_proxy": "q"}, "https_proxy"),
        ("https://a.example/v1", {"https_proxy": "p", "no_proxy": "example"}, None),
        ("https://a.example/v1", {"https_proxy": "p", "NO_PROXY": "a.example:443"}, None),
        ("https://a.example/v1", {"https_proxy": "p", "NO_PROXY": "a.example:80"}, "https_proxy"),
        ("https://a.example:444/v1", {"https_proxy": "p", "no_proxy": "b", "NO_PROXY": "a.example"}, "https_proxy"),
        ("http://localhost:11434/v1", {"http_proxy": "p"}, None),
        ("http://ollama.localhost/v1", {"http_proxy": "p"}, None),
        ("http://127.0.0.2/v1", {"all_proxy": "p"}, None),
        ("http://[::1]:80/v1", {"all_proxy": "p"}, None),
        ("http://10.0.0.1/v1", {"all_proxy": "p"}, "all_proxy"),
    ],
)
def test_the_environment_is_read_as_curl_reads_it(url: str, env: dict[str, str], name: str | None) -> None:
    assert proxy_variable(url, env) == name


@pytest.mark.parametrize(
    ("host", "entries", "is_so"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example.", True),
        ("x.a.example", "a.example", True),
        ("x.a.example", ".a.example", True),
        ("a.example", ".a.example", True),
        ("xa.example", "a.example", False),
        ("a.example.org", "a.example", False),
        ("a.example", "b.example, a.example", True),
        ("a.example", "b.example a.example", True),
        ("a.example", "*", True),
        ("a.example", "", False),
        ("a.example", " , ,", False),
        ("a.example", ".", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "2.3", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:80", True),
        ("fd00::1", "[fd00::1]:81", False),
        ("a.example", "10.0.0.0/8", False),
        ("a.example", "a.example:80", True),
        ("a.example", "a.example:99999999", False),
    ],
)
def test_exceptions_are_hosts_domains_networks_and_ports(host: str, entries: str, is_so: bool) -> None:
    assert is_excepted(host, 80, entries) is is_so
