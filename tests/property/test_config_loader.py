"""Whatever stands in the file: a `Spec`, or errors with a place; never another exception, and soon."""

import string
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.compose import compose
from gateway.config.conditions import place_in
from gateway.config.load import Loaded
from gateway.config.nodes import Mapping, Scalar
from gateway.core.problem import ConfigError
from tests.unit.config.conftest import Files, config

FULL = config(
    include="include: [builtin:prices]",
    server='server: {listen: ["127.0.0.1:8000"], admin: {key: "${SOME_KEY}"}, drain: {grace: 1s}, limits: {body: 1MiB}}',
    pools="pools:\n  p: {members: [m, {model: far, weight: 2}], balance: weighted, timeout: {idle: none}, hedge: {after: 1s}, then: q}\n"
    "  q: {members: [m], max_inflight: 2, queue: {max: 5, wait: 1s}, breaker: {failures: 3}, hash_by: tenant, all_open: soonest}",
    let="let:\n  busy: 'request.tools > 0 && labels.plan == \"paid\"'",
    routes="routes:\n  - {name: r, match: [auto, 'g*'], when: 'busy', to: p}\n  - name: s\n    match: [auto]\n    to: requested\n"
    "  - {name: t, match: [m], to: requested}".replace("    to: requested", "    to: q"),
    defaults="defaults: {breaker: none, keepalive: {every: 5s}, retry: {when: [connect], backoff: 50ms}}",
    tenants="tenants:\n  t:\n    keys: ['sha256:" + "ab" * 32 + "']\n    labels: {plan: paid}\n    models: [auto]",
    checks="checks: [{name: c, given: {model: auto, tools: 1, tenant: t}, expect: {route: r}}]",
)
PIECES = [
    *[
        "\n",
        "\n  ",
        "\n    - ",
        ": ",
        " #",
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        "- ",
        "&a ",
        "*a",
        "!x ",
        "| ",
        "> ",
        "---\n",
        "<<: ",
        "\t",
    ],
    *[
        "null",
        "~",
        "true",
        "no",
        "010",
        "1.10",
        "1:30",
        "5s",
        "20%",
        "none",
        "${X}",
        "${",
        "$${",
        "${file:x}",
        "é",
        "\0",
        "\u2028",
    ],
    *[
        "m",
        "far",
        "requested",
        "p",
        "q",
        "version",
        "models",
        "routes",
        "when",
        "limits",
        "request.tools",
        "==",
        "&&",
        "* " * 3,
    ],
]


def outcome(files: Files, data: str | bytes) -> Loaded | None:
    """Load; a refusal must name a place and the file for each of its faults."""
    began = monotonic()
    try:
        return files.load(data)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.place.file
            assert problem.place.line >= 1
            assert problem.place.column >= 1
            assert problem.message
            assert "\n" not in str(problem)
        return None
    finally:
        assert monotonic() - began < 5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("config"))


relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes(files: Files, data: bytes) -> None:
    outcome(files, data)


@relaxed
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40))
def test_any_text_of_yamls_own_pieces(files: Files, pieces: list[str]) -> None:
    outcome(files, "".join(pieces).encode("utf-8", "surrogatepass"))


@relaxed
@given(st.data())
def test_any_mutation_of_a_sound_file(files: Files, data: st.DataObject) -> None:
    text = FULL
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    outcome(files, text)


@relaxed
@given(st.data())
def test_any_line_left_out_or_moved(files: Files, data: st.DataObject) -> None:
    lines = FULL.splitlines(keepends=True)
    moved = lines.pop(data.draw(st.integers(0, len(lines) - 1)))
    if data.draw(st.booleans()):
        lines.insert(data.draw(st.integers(0, len(lines))), moved)
    outcome(files, "".join(lines))


VALUES = st.recursive(
    st.sampled_from([*PIECES[21:], "x", "-1", "1e9", "9" * 40, "sha256:x"]).map(
        lambda text: "'" + text.replace("'", "''") + "'"
    )
    | st.sampled_from(["", "null", "true", "5", "0.5", "5s"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(
            st.sampled_from(["kind", "provider", "members", "then", "price", "a", "keys", "queue", "retry", "breaker"]),
            inner,
            max_size=3,
        ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}")
    ),
    max_leaves=6,
)
SECTIONS = [
    "version",
    "include",
    "server",
    "state",
    "providers",
    "models",
    "pools",
    "defaults",
    "let",
    "routes",
    "tenants",
    "observe",
    "checks",
    "caches",
]


@relaxed
@given(st.dictionaries(st.sampled_from(SECTIONS), VALUES, max_size=5))
def test_any_shape_under_any_section(files: Files, shapes: dict[str, str]) -> None:
    outcome(files, config(**{section: f"{section}: {value}" for section, value in shapes.items()}))


def test_the_file_that_is_mutated_is_sound(files: Files) -> None:
    assert files.errors(FULL) == []


@pytest.mark.parametrize(
    "text",
    [
        "[" * 2**19,
        "{" * 2**19,
        "- " * 2**18,
        "? " * 2**18,
        "a: " + "[" * 30 + "x, " * 200_000,
        "&a " * 2**18,
        "'" * (2**20 - 1),
        "".join(f"k{i}: v\n" for i in range(60_000)),
        "".join(f"k{i}: v\n" for i in range(20_000)),
        "models:\n" + "".join(f"  m{i}: {{provider: p{i % 7}}}\n" for i in range(3_000)),
        "\n".join(" " * i + "a:" for i in range(1_400)),
        "a: |\n" + " x\n" * 300_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_big_and_hostile_files_are_judged_in_seconds(files: Files, text: str) -> None:
    began = monotonic()
    assert files.errors(text)
    assert monotonic() - began < 10


CONDITION = st.text(string.ascii_letters + " '\"\\=&é", min_size=1, max_size=30).map(str.strip).filter(bool)


@given(CONDITION, st.integers(0, 30))
def test_a_place_inside_quotes_is_that_of_the_sign(text: str, offset: int) -> None:
    offset = min(offset, len(text) - 1)
    for written in ("'" + text.replace("'", "''") + "'", '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'):
        root, _ = compose(f"a:\n  b: {written}\n".encode(), "f")
        assert isinstance(root, Mapping)
        inner = root.entries["a"].value
        assert isinstance(inner, Mapping)
        scalar = inner.entries["b"].value
        assert isinstance(scalar, Scalar)
        assert scalar.text == text
        place = place_in(scalar, 1, offset + 1)
        line = f"  b: {written}"
        sign = line[place.column - 1]
        assert place.line == 2
        assert sign == text[offset] or sign == "\\"
