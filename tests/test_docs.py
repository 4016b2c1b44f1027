"""The pages and the code say the same: what exists is documented, what is documented exists."""

import ast
import importlib
import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from gateway.cli import main
from gateway.config import spec
from gateway.core import errors
from gateway.core.faults import EFFECTS
from gateway.observability.families import FAMILIES
from gateway.observability.report import RequestLine
from gateway.runtime.checked import load_and_check

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def cells(page: Path, column: int) -> set[str]:
    """Give the names, written as code, in one column of all tables of a page; nothing of their headings."""
    rows = (line.split("|") for line in page.read_text().splitlines() if line.startswith("| "))
    return {name for row in rows for name in re.findall(r"^\s*`([^`]+)`", row[column + 1])}


def kinds(error: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def codes_in_calls() -> set[str]:
    """Give every code that is passed as `code=…` where an error is made; a `{…}` in one stands for a clock."""
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


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_generated_blocks_are_current(page: Path) -> None:
    render = runpy.run_path(str(ROOT / "docs/generate.py"))["render"]
    assert page.read_text() == render(page), f"{page.name} is out of date: make docs"


def test_the_marks_of_generated_blocks_pair_up() -> None:
    for page in ROOT.glob("docs/*.md"):
        marks = re.findall(r"^<!-- (generated: [^>]+|end) -->$", page.read_text(), re.MULTILINE)
        assert [mark == "end" for mark in marks] == [False, True] * (len(marks) // 2), page.name


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
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


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
