"""The mistakes of the first minutes, each with the message that says what to write instead."""

from typing import Any

import pytest

from tests.unit.config.conftest import Files, config

NBSP = "\u00a0"
HASH = "ab" * 32
KINDS = "must be anthropic, llamacpp, openai or simulator"
BALANCERS = "must be in_order, round_robin, weighted, least_inflight, p2c, ewma, cheapest or consistent_hash"
REQUEST = (
    "request.has_max_tokens, request.has_stream, request.has_temperature, request.images, request.max_tokens, "
    "request.model, request.n, request.path, request.stream, request.temperature, request.tokens, request.tools"
)


def case(title: str, error: str, **sections: str) -> Any:
    return pytest.param(config(**sections), [error], id=title)


def when(condition: str) -> str:
    return f"routes:\n  - name: r\n    match: [auto]\n    when: {condition}\n    to: m"


def provider(settings: str) -> str:
    return f"providers: {{local: {{kind: llamacpp}}, web: {{kind: openai}}, own: {{{settings}}}}}"


def model(settings: str) -> str:
    return f"models: {{m: {{provider: local, {settings}}}}}"


def pool(settings: str) -> str:
    return f"pools:\n  big: {{members: [m], {settings}}}\n  small: {{members: [m]}}"


def route(settings: str) -> str:
    return f"routes:\n  - {{name: r, {settings}}}"


MISTAKES = [
    # numbers
    case("decimal comma", "3:46: decimals take a point: 0.5", models=model("price: {input: 0,5, output: 1}")),
    case(
        "decimal comma at the end", "3:57: decimals take a point: 1.25", models=model("price: {input: 0, output: 1,25}")
    ),
    case(
        "decimal comma in a line",
        "6:14: models.m.price.input: must be US dollars per million tokens as a plain number, such as 2.50 "
        '(got "0,5"); decimals take a point: 0.5',
        models="models:\n  m:\n    price:\n      input: 0,5\n      output: 1\n    provider: local",
    ),
    case(
        "decimal comma in a quality",
        "7:14: models.m.quality: must be a plain decimal number, without quotes "
        '(got "0,82"); decimals take a point: 0.82',
        models="models:\n  m:\n    provider: local\n    price: {input: 0, output: 0}\n    quality: 0,82",
    ),
    # quotes around conditions
    case(
        "double quotes within double quotes",
        "7:20: the quote ends at x-batch; use single quotes outside, double quotes inside: "
        'when: \'headers["x-batch"] != ""\'',
        routes=when('"headers["x-batch"] != \'\'"'),
    ),
    case(
        "double quotes within double quotes, in braces",
        "5:45: the quote ends at x-batch; use single quotes outside, double quotes inside: "
        'when: \'headers["x-batch"] != ""\'',
        routes=route('match: [auto], when: "headers["x-batch"] != \'\'", to: m'),
    ),
    case(
        "single quotes within single quotes",
        '7:20: the quote ends at x-team; use double quotes inside: when: \'headers["x-team"] == "a"\'',
        routes=when("""'headers['x-team'] == "a"'"""),
    ),
    case(
        "single quotes within single quotes, in braces",
        '5:45: the quote ends at x-team; use double quotes inside: when: \'headers["x-team"] == "a"\'',
        routes=route("""match: [auto], when: 'headers['x-team'] == "a"', to: m"""),
    ),
    case(
        "quotes within the quotes of a let",
        "6:26: the quote ends at gpt-4o; use single quotes outside, double quotes inside: "
        "big: 'request.model == \"gpt-4o\"'",
        let='let:\n  big: "request.model == "gpt-4o""',
    ),
    # conditions
    case(
        "a header's name with a dash",
        '5:45: routes[0].when: a name that holds "-" stands in brackets: headers["x-team"]',
        routes=route("""match: [auto], when: 'headers.x-team == "a"', to: m"""),
    ),
    case(
        "a label's name with dashes",
        '5:44: routes[0].when: a name that holds "-" stands in brackets: labels["cost-center-2"]',
        routes=route("""match: [auto], when: 'labels.cost-center-2 == "a"', to: m"""),
    ),
    case(
        "a part that no request has",
        f'5:37: routes[0].when: unknown variable "request.user"; known are {REQUEST}',
        routes=route("""match: [auto], when: 'request.user == "a"', to: m"""),
    ),
    case(
        "a part that the time has not",
        '5:37: routes[0].when: unknown variable "now.minute"; known are now.hour, now.weekday',
        routes=route("match: [auto], when: 'now.minute > 3', to: m"),
    ),
    # stars
    case(
        "a star in front",
        '5:23: no anchor "alpha" stands before this alias; quote patterns that begin with *: "*alpha"',
        routes=route("match: [*alpha], to: m"),
    ),
    case(
        "a star alone",
        '5:24: quote patterns that begin with *, as in "*-mini"',
        routes=route("match: [*], to: m"),
    ),
    case(
        "stars at both ends, in lines",
        '8:10: quote patterns that begin with *, as in "*-mini"',
        routes="routes:\n  - name: r\n    to: m\n    match:\n      - *.alpha",
    ),
    # names
    case(
        "a tenant's model, misspelled",
        '5:107: tenants.t.models[0]: nothing of the name "auot" can be asked for; did you mean "auto"?',
        tenants=f"tenants: {{t: {{keys: ['sha256:{HASH}'], models: [auot]}}}}",
    ),
    case(
        "request for requested",
        '5:31: routes[0].to: there is no pool or model "request"; did you mean "requested"?',
        routes=route("match: [m], to: request"),
    ),
    case(
        "requested, misspelled",
        '5:31: routes[0].to: there is no pool or model "requestd"; did you mean "requested"?',
        routes=route("match: [m], to: requestd"),
    ),
    # kinds
    case(
        "kind ollama",
        f'2:71: providers.own.kind: {KINDS} (got "ollama"); give kind: openai with its url: http://127.0.0.1:11434/v1',
        providers=provider("kind: ollama"),
    ),
    case(
        "kind azure",
        f'2:71: providers.own.kind: {KINDS} (got "azure"); '
        "give kind: openai with its url: https://NAME.openai.azure.com/openai/v1",
        providers=provider("kind: azure"),
    ),
    case(
        "kind vLLM",
        f'2:71: providers.own.kind: {KINDS} (got "vLLM"); give kind: openai with its url: http://127.0.0.1:8000/v1',
        providers=provider("kind: vLLM"),
    ),
    # lists
    case(
        "a list for then",
        "6:23: pools.big.then: must be one value, not a list: then: small",
        pools=pool("then: [small]"),
    ),
    case(
        "a chain for then",
        "6:23: pools.big.then: must be one value, not a list; pools that follow each other have a `then` each",
        pools=pool("then: [small, m]"),
    ),
    case(
        "a list for to", "5:27: routes[0].to: must be one value, not a list: to: m", routes=route("match: [m], to: [m]")
    ),
    # blanks
    case(
        "non-breaking space before a key",
        "5:29: a non-breaking space (U+00A0) stands here; type a plain space",
        routes=route(f"match: [auto],{NBSP}to: m"),
    ),
    case(
        "non-breaking space behind a dash",
        "5:4: a non-breaking space (U+00A0) stands here; type a plain space",
        routes=f"routes:\n  -{NBSP}{{name: r, match: [auto], to: m}}",
    ),
    case(
        "non-breaking space as indentation",
        "6:1: a non-breaking space (U+00A0) stands here; type a plain space",
        routes=f"routes:\n  - name: r\n{NBSP}   match: [auto]\n    to: m",
    ),
    case(
        "non-breaking space behind a colon",
        "7:8: a non-breaking space (U+00A0) stands here; type a plain space",
        routes=f"routes:\n  - name: r\n    match: [auto]\n    to:{NBSP}m",
    ),
    case(
        "non-breaking space behind a value",
        "7:11: a non-breaking space (U+00A0) stands here; type a plain space",
        routes=f"routes:\n  - name: r\n    match: [auto]\n    to: m {NBSP}",
    ),
    case(
        "ideographic space",
        "5:29: a blank that is no plain space (U+3000) stands here; type a plain space",
        routes=route("match: [auto],\u3000to: m"),
    ),
    # colons
    case("no space behind a colon", "1:1: a space is missing after the colon: version: 1", version="version:1"),
    case(
        "no space behind a colon, further down",
        "6:5: a space is missing after the colon: to: m",
        routes="routes:\n  - name: r\n    to:m\n    match: [auto]",
    ),
    case(
        "no space behind the colon of the only setting",
        "6:3: server: a space is missing after the colon: watch: true",
        server="server:\n  watch:true",
    ),
    # words of other programs
    case(
        "base_url",
        '2:79: providers.own.base_url: unknown key; did you mean "url"?',
        providers=provider("kind: openai, base_url: 'http://x/v1'"),
    ),
    case(
        "api_base",
        '2:79: providers.own.api_base: unknown key; did you mean "url"?',
        providers=provider("kind: openai, api_base: 'http://x/v1'"),
    ),
    case(
        "api-key",
        '2:79: providers.own.api-key: unknown key; did you mean "key"?',
        providers=provider("kind: openai, api-key: x"),
    ),
    case("fallback", '6:23: pools.big.fallback: unknown key; did you mean "then"?', pools=pool("fallback: small")),
    case("strategy", '6:23: pools.big.strategy: unknown key; did you mean "balance"?', pools=pool("strategy: ewma")),
    case(
        "least_conn",
        f'6:32: pools.big.balance: {BALANCERS} (got "least_conn"); did you mean "least_inflight"?',
        pools=pool("balance: least_conn"),
    ),
    case(
        "ip_hash",
        f'6:32: pools.big.balance: {BALANCERS} (got "ip_hash"); did you mean "consistent_hash"?',
        pools=pool("balance: ip_hash"),
    ),
    case(
        "server.port",
        '5:10: server.port: unknown key; use listen: "127.0.0.1:8000", host and port together',
        server="server: {port: 8000}",
    ),
    case(
        "server.admin.port",
        '5:18: server.admin.port: unknown key; use listen: "127.0.0.1:9000", host and port together',
        server="server: {admin: {port: 9000}}",
    ),
]


@pytest.mark.parametrize(("text", "errors"), MISTAKES)
def test_a_first_mistake_is_answered_with_what_to_write(text: str, errors: list[str], files: Files) -> None:
    assert files.errors(text) == errors


@pytest.mark.parametrize(
    "text",
    [
        config(routes=f"routes: [{{name: r, match: [auto], to: m}}]  # a{NBSP}comment"),
        config(tenants=f'tenants: {{t: {{keys: ["sha256:{HASH}"], labels: {{team: "a{NBSP}b"}}}}}}'),
        config(tenants=f"tenants: {{t: {{keys: ['sha256:{HASH}'], labels: {{team: a{NBSP}b}}}}}}"),
        config(routes=when("'headers.team == \"a\"'")),
        config(routes=when("'headers.count != \"\"'")),
    ],
)
def test_what_is_right_stays_right(text: str, files: Files) -> None:
    assert files.errors(text) == []
