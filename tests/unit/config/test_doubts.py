"""What is allowed but doubtful: URLs that a call does not fit, keys that are names of variables, what nothing uses."""

import pytest

from tests.unit.config.conftest import Files, config

ADDS = "which the gateway adds"


def warnings(files: Files, text: str) -> list[str]:
    """Return the warnings of a configuration as `path: message`."""
    return [f"{one.path}: {one.message}" for one in files.load(text).warnings]


def of_web(files: Files, settings: str) -> list[str]:
    """Return the warnings about the provider `web` with these settings."""
    text = config(providers=f"providers: {{local: {{kind: llamacpp}}, web: {{{settings}}}}}")
    return [one.removeprefix("providers.web.") for one in warnings(files, text)]


@pytest.mark.parametrize(
    ("kind", "url", "warning"),
    [
        (
            "openai",
            "https://x.test/v1/chat/completions",
            f"ends with the path of a call, /chat/completions, {ADDS}; give https://x.test/v1",
        ),
        (
            "openai",
            "https://x.test/v1/embeddings/",
            f"ends with the path of a call, /embeddings, {ADDS}; give https://x.test/v1",
        ),
        (
            "openai",
            "https://x.test/v1/responses",
            f"ends with the path of a call, /responses, {ADDS}; give https://x.test/v1",
        ),
        (
            "openai",
            "https://x.test/v1/models",
            f"ends with the path of a call, /models, {ADDS}; give https://x.test/v1",
        ),
        (
            "openai",
            "http://127.0.0.1:11434",
            "has no path, and most servers of the kind openai answer below /v1 only; give http://127.0.0.1:11434/v1",
        ),
        (
            "openai",
            "http://x.test/",
            "has no path, and most servers of the kind openai answer below /v1 only; give http://x.test/v1",
        ),
        (
            "anthropic",
            "https://x.test/v1/messages",
            f"ends with the path of a call, /messages, {ADDS}; give https://x.test",
        ),
        ("anthropic", "https://x.test/v1", f"ends with /v1, {ADDS}; give https://x.test"),
        ("anthropic", "https://x.test/api/v1/", f"ends with /v1, {ADDS}; give https://x.test/api"),
    ],
)
def test_a_url_that_no_call_fits(kind: str, url: str, warning: str, files: Files) -> None:
    assert of_web(files, f"kind: {kind}, url: '{url}'") == [f"url: {warning}"]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("openai", "https://x.test/v1"),
        ("openai", "https://x.test/v1beta/openai"),
        ("openai", "https://x.test/openai/deployments/{model}?api-version=1"),
        ("openai", "https://x.test/models/v1"),
        ("anthropic", "https://x.test"),
        ("anthropic", "https://x.test/anthropic"),
    ],
)
def test_a_url_that_calls_fit(kind: str, url: str, files: Files) -> None:
    assert of_web(files, f"kind: {kind}, url: '{url}'") == []


def test_each_of_several_urls(files: Files) -> None:
    (warning,) = of_web(files, "kind: openai, urls: ['http://x.test/v1', 'http://y.test']")
    assert warning.startswith("urls[1]: has no path")


def test_a_url_from_the_environment_is_not_shown(files: Files) -> None:
    text = config(
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, url: 'http://${HOST}/v1/models'}}"
    )
    (warning,) = [one.message for one in files.load(text, {"HOST": "hidden.test"}).warnings]
    assert warning == f"ends with the path of a call, /models, {ADDS}"


@pytest.mark.parametrize(
    "written",
    [
        "$OPENAI_API_KEY",
        "$(OPENAI_API_KEY)",
        "%OPENAI_API_KEY%",
        "os.environ/OPENAI_API_KEY",
        'os.environ["OPENAI_API_KEY"]',
        "process.env.OPENAI_API_KEY",
        "env:OPENAI_API_KEY",
        "{env:OPENAI_API_KEY}",
        "{{env.OPENAI_API_KEY}}",
        "OPENAI_API_KEY",
    ],
)
@pytest.mark.parametrize("settings", ["key: '{}'", "keys: ['{}']"])
def test_a_key_that_is_the_name_of_a_variable(settings: str, written: str, files: Files) -> None:
    (warning,) = of_web(files, f"kind: openai, {settings.format(written)}")
    assert warning.partition(": ")[2] == (
        "is sent as it stands, as text; for the environment variable write ${OPENAI_API_KEY}"
    )


@pytest.mark.parametrize("written", ["dummy", "EMPTY", "none", "${SOME_KEY}", "${NO_KEY:-dummy-key}", "a_b_c"])
def test_a_key_that_is_none(written: str, files: Files) -> None:
    assert of_web(files, f"kind: openai, key: '{written}'") == []


def test_a_provider_that_nothing_uses(files: Files) -> None:
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai}, spare: {kind: openai}, path: {kind: openai}}"
    routes = "routes: [{name: r, match: [auto], to: m}, {name: p, paths: [/v1/files], provider: path}]"
    text = config(providers=providers, routes=routes)
    assert warnings(files, text) == ["providers.spare: no model and no route uses this provider"]


def test_a_pool_that_no_route_reaches(files: Files) -> None:
    pools = (
        "pools: {a: {members: [m], then: b}, b: {members: [m]}, c: {members: [m], then: d}, d: {members: [m]}, "
        "by-name: {members: [m]}}"
    )
    routes = "routes: [{name: r, match: [auto], to: a}, {name: q, match: ['by-*'], to: requested}]"
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai}}"
    text = config(pools=pools, routes=routes, providers=providers)
    assert warnings(files, text) == ["pools.c: no route leads to this pool", "pools.d: no route leads to this pool"]


def test_a_condition_that_nothing_uses(files: Files) -> None:
    let = "let: {big: 'request.tokens > 5', huge: 'big && request.n > 1', idle: 'big', text: 'tenant == \"idle\"'}"
    routes = "routes: [{name: r, match: [auto], when: 'huge || text', to: m}]"
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai}}"
    assert warnings(files, config(let=let, routes=routes, providers=providers)) == [
        "let.idle: no `when` uses this condition"
    ]
