"""Pages and code agree: everything that exists is documented, and everything that is documented exists. Examples load."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml

from gateway.cli import main
from gateway.compile.check import load_and_check
from gateway.config import spec
from gateway.core import errors
from gateway.core.faults import EFFECTS
from gateway.core.problem import ConfigError
from gateway.observability.families import FAMILIES
from gateway.observability.report import RequestLine

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells(page: Path, column: int) -> set[str]:
    """Return the names, written as code, in one column of all tables of a page, without the headings."""
    rows = (line.split("|") for line in page.read_text().splitlines() if line.startswith("| "))
    return {name for row in rows for name in re.findall(r"^\s*`([^`]+)`", row[column + 1])}


def blocks(*languages: str) -> list[Any]:
    """Return the fenced blocks of all pages in one of `languages`, as test parameters with the page's name."""
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (language, text) in enumerate(FENCE.findall(page.read_text()), start=1)
        if language in languages
    ]


def completed(fragment: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration around `fragment`: everything that the fragment refers to and does not define is added."""
    whole: dict[str, Any] = {"version": 1, "include": ["builtin:prices"], **fragment}
    if "server" in fragment:  # an address on the network needs tenants
        whole.setdefault("tenants", {"acme": {"keys": ["sha256:…"]}})
    providers, models = whole.setdefault("providers", {}), whole.setdefault("models", {})
    pools, routes = whole.setdefault("pools", {}), whole.setdefault("routes", [])
    for provider in [route["provider"] for route in routes if "provider" in route]:
        providers.setdefault(provider, {"kind": "openai", "url": "http://stand-in.test/v1"})
    targets = [route["to"] for route in routes if "to" in route] + [
        pool["then"] for pool in pools.values() if "then" in pool
    ]
    for pool in targets:
        if pool != "requested" and pool not in models:
            pools.setdefault(pool, {"members": ["stand-in"]})
    members = [member for pool in pools.values() for member in pool["members"]]
    for name in [*(member if isinstance(member, str) else member["model"] for member in members), "stand-in"]:
        models.setdefault(name, {"provider": "stand-in", "price": {"input": 1, "output": 1}})
    for model in models.values():
        providers.setdefault(model["provider"], {"kind": "openai", "url": "http://stand-in.test/v1"})
    routes.append({"name": "last", "match": ["stand-in"], "to": "requested"})
    routes += [{"name": f"to-{pool}", "match": [f"to-{pool}"], "to": pool} for pool in pools]
    return whole


def kinds(error: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def codes_in_calls() -> set[str]:
    """Return every code that is passed as `code=…` to an error; a `{…}` in it stands for each timeout."""
    found = set()
    for path in ROOT.glob("gateway/**/*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and not hasattr(errors, call.func.id):
                continue
            for keyword in call.keywords:
                if keyword.arg == "code":
                    found |= set(codes_of(keyword.value))
    return found


def codes_of(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(str() as code):
            yield code
        case ast.IfExp(body=one, orelse=other):
            yield from codes_of(one)
            yield from codes_of(other)
        case ast.JoinedStr():
            pattern = ast.unparse(value)[2:-1]
            for clock in get_args(spec.Clock):
                yield re.sub(r"\{.*?\}", clock, pattern)


def test_every_metric_is_documented_as_it_is() -> None:
    rows = {
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels) or '–'} | {family.help} |"
        for family in FAMILIES.values()
    }
    page = (ROOT / "docs/metrics.md").read_text()
    assert {row for row in page.splitlines() if re.match(r"\| `(llm|gateway)_", row)} == rows


def test_every_error_code_is_documented_and_every_documented_one_exists() -> None:
    existing = {kind.code for kind in kinds(errors.GatewayError) if "code" in vars(kind)} | codes_in_calls()
    assert cells(ROOT / "docs/errors.md", 0) == existing


def test_documented_statuses_are_those_of_the_errors() -> None:
    by_code = {kind.code: kind.status for kind in kinds(errors.GatewayError) if "code" in vars(kind)}
    for line in (ROOT / "docs/errors.md").read_text().splitlines():
        row = re.match(r"\| `(\w+)` (†? ?)\| (\d+)", line)
        if row and row[1] in by_code:
            assert int(row[3]) == by_code[row[1]], line


def test_documented_daggers_are_the_errors_that_hurt_a_breaker() -> None:
    by_code = {
        kind.code: issubclass(kind, errors.UpstreamError) and EFFECTS[kind.fault].hurts_breaker
        for kind in kinds(errors.GatewayError)
        if "code" in vars(kind)
    }
    for line in (ROOT / "docs/errors.md").read_text().splitlines():
        row = re.match(r"\| `(\w+)` (†?)", line)
        if row and row[1] in by_code:
            assert bool(row[2]) == by_code[row[1]], line


def test_every_command_is_documented_and_every_documented_one_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    existing = set(re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"^\| `gateway ([a-z]+)", readme, re.MULTILINE)) == existing
    assert set(re.findall(r"`gateway ([a-z]+)", readme)) == existing


def test_every_make_target_is_documented_and_every_documented_one_exists() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    existing = set(targets.split())
    assert set(re.findall(r"^\| `make ([a-z]+)`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)) == existing


def test_every_module_says_what_it_holds() -> None:
    for path in [*ROOT.glob("gateway/**/*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
        headings = re.findall(r"^#+ (.*)$", (page.parent / target).read_text(), re.MULTILINE) if anchor else [""]
        assert anchor in [re.sub(r"[^\w -]", "", text).replace(" ", "-").lower() for text in headings], anchor


def test_the_readme_leads_to_every_page() -> None:
    named = set(re.findall(r"\]\((docs/[^)#]+)", (ROOT / "README.md").read_text().partition("\n## Pages\n")[2]))
    assert named == {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")}


def test_the_page_on_the_log_names_every_field_once() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("\n## The log\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == set(RequestLine.__struct_fields__)
    assert len(named) == len(set(named))


def test_every_error_has_a_docstring() -> None:
    for kind in kinds(errors.GatewayError):
        assert inspect.getdoc(kind) != inspect.getdoc(kind.__mro__[1]), kind.__name__


def test_every_room_says_which_file_to_read_first() -> None:
    for room in (path.parent.name for path in ROOT.glob("gateway/*/__init__.py")):
        docstring = inspect.getdoc(importlib.import_module(f"gateway.{room}")) or ""
        assert "Read `" in docstring, f"gateway/{room}/__init__.py"
        assert "mports" in docstring or "mport " in docstring, f"gateway/{room}/__init__.py"


@pytest.mark.parametrize(
    "path", [*ROOT.glob("config/examples/*.yaml"), ROOT / "gateway.yaml"], ids=lambda path: path.name
)
def test_examples_load_without_anything_set(path: Path) -> None:
    assert load_and_check(path, env={}).spec.routes


def test_the_readme_configuration_loads(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(version:.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "gateway.yaml"
    path.write_text(block)
    spec = load_and_check(path, env={"OPENAI_API_KEY": "test"}).spec
    assert [route.name for route in spec.routes] == ["direct", "auto"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_every_page_has_an_example(page: Path) -> None:
    assert FENCE.search(page.read_text())


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_examples_load(block: str, tmp_path: Path) -> None:
    example = yaml.safe_load(block)
    if block.startswith("# prometheus.yml"):
        assert example["scrape_configs"]
        return
    hashes = iter(range(100))
    text = yaml.safe_dump(example if "version" in example else completed(example), allow_unicode=True, sort_keys=False)
    text = re.sub("sha256:…", lambda _: f"sha256:{next(hashes):064x}", text)
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    try:
        load_and_check(path, env=dict.fromkeys(re.findall(r"\$\{(\w+)", text), "test"))
    except ConfigError as error:  # files that an example names, such as certificates, do not exist here
        assert [problem for problem in error.problems if "no such file" not in problem.message] == []


@pytest.mark.parametrize("block", blocks("json"))
def test_json_examples_are_json(block: str) -> None:
    assert json.loads(block)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_examples_are_python(block: str) -> None:
    assert ast.parse(block).body


@pytest.mark.parametrize("block", blocks("console", "sh"))
def test_commands_are_complete(block: str) -> None:
    """Check that quotes are closed, that `-d` is followed by JSON, and `python -m` by a module that exists."""
    lines = block.replace("\\\n", " ").splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")] or lines
    for words in (shlex.split(command, comments=True) for command in commands):
        if "-d" in words:
            assert json.loads(words[words.index("-d") + 1])
        if words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2])


def test_the_request_line_on_the_page_has_every_field_in_order() -> None:
    (line,) = [block for _, block in FENCE.findall((ROOT / "docs/operations.md").read_text()) if block.startswith("{")]
    assert tuple(json.loads(line)) == RequestLine.__struct_fields__


def test_the_glossary_is_in_alphabetical_order_and_its_terms_are_in_use() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| .*? \| `(.+?)` \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    terms = [term for term, _ in rows if term != "term"]
    assert terms == sorted(terms) and len(terms) == len(set(terms)) > 30
    sources = [*PAGES, *ROOT.glob("gateway/**/*.py")]
    used = "\n".join(path.read_text() for path in sources if path.name != "glossary.md")
    for term, name in rows:
        assert re.search(term.replace(" ", "[ _]?"), used, re.IGNORECASE), term
        assert re.search(rf"\b{re.escape(name)}\b", used) or (ROOT / "gateway" / name).exists(), name
