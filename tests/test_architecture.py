"""Architecture rules beyond the import contract. Every exception is listed with its reason; the lists may only shrink."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = {str(path.relative_to(ROOT / "gateway")): path for path in sorted(ROOT.glob("gateway/**/*.py"))}
TREES: Final = {name: ast.parse(path.read_text(), name) for name, path in SOURCES.items()}

PROVIDER_NAME: Final = re.compile(r"(?i)openai|anthropic|llama_?cpp|ollama|vllm")

# Files outside `providers/` and `dialects/` that name a provider, and why.
NAMES_PROVIDERS: Final = {
    "config/definitions.py": "examples in the language's own help",
    "config/units.py": "an example in an error message",
    "runtime/model_server.py": "runs the embedded model's server",
    "simulator/headers.py": "imitates the headers of providers",
}

# Third-party packages and the only paths (prefixes) that may import them.
HOMES: Final = {
    "aiohttp": ("api/", "runtime/worker.py", "runtime/admin_listener.py", "runtime/simulator_process.py", "simulator/"),
    "aiohttp_cors": ("api/cors.py",),
    "aioprometheus": ("observability/exposition.py",),
    "cel_expr_python": ("dsl/compile.py",),
    "httptools": ("providers/connection.py",),
    "jsonschema": ("config/",),
    "watchfiles": ("runtime/",),
    "uvloop": ("runtime/",),
    "xllamacpp": ("runtime/model_server.py",),
    "yaml": ("config/",),
}

# Files that write to stdout or stderr without a queue, and why: none of them has a loop then.
WRITES_ITSELF: Final = {
    "cli.py": "commands",
    "runtime/admin_commands.py": "commands",
    "runtime/control_client.py": "commands",
    "runtime/model_server.py": "its last words, at its end",
    "runtime/simulator_process.py": "its last words, at its end",
}

# The only places that catch every Exception: each logs the traceback and continues.
CATCHES_ALL: Final = {
    "api/edge.py": "the edge of the request path",
    "core/tasks.py": "the runner of background tasks",
    "runtime/reload.py": "the control process' loop of reloads",
}


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of a kind in all sources, with its file."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield name, node


def at(name: str, node: ast.AST) -> str:
    return f"gateway/{name}:{getattr(node, 'lineno', 0)}"


def docstrings(tree: ast.AST) -> set[ast.AST]:
    """Return every string that is a statement of its own: documentation, not code."""
    return {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def imported(tree: ast.AST) -> set[str]:
    """Return the top-level packages that a module imports, also within functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_nothing_is_global() -> None:
    assert [at(name, node) for name, node in nodes(ast.Global)] == []


def test_module_level_values_are_constants() -> None:
    """A list, dict or set at module level has a constant's name; the next test checks that no code changes one."""
    makers = {"dict", "list", "set", "defaultdict", "deque", "OrderedDict", "Counter", "WeakSet", "WeakValueDictionary"}
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    found = []
    for name, tree in TREES.items():
        for node in tree.body:
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            is_made = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).split(".")[-1] in makers
            if (is_made or isinstance(node.value, mutable)) and not is_constant(target):
                found.append(at(name, node))
    assert found == []


def test_no_code_changes_a_constant() -> None:
    changes = {
        "append",
        "add",
        "update",
        "extend",
        "insert",
        "pop",
        "popitem",
        "remove",
        "discard",
        "clear",
        "setdefault",
    }
    found = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            match node:
                case ast.Subscript(value=target, ctx=ast.Store() | ast.Del()) if is_constant(target):
                    found.append(at(name, node))
                case ast.Call(func=ast.Attribute(value=target, attr=method)) if (
                    is_constant(target) and method in changes
                ):
                    found.append(at(name, node))
    assert found == []


def is_constant(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and (target.id.isupper() or target.id.startswith("__"))


def test_every_task_has_an_owner() -> None:
    """Only `core/tasks.py` and TaskGroups create tasks; a TaskGroup is called `group` by convention."""
    found = []
    for name, node in nodes(ast.Attribute):
        assert isinstance(node, ast.Attribute)
        is_group = isinstance(node.value, ast.Name) and node.value.id == "group"
        if node.attr in ("create_task", "ensure_future") and not is_group and name != "core/tasks.py":
            found.append(at(name, node))
    assert found == []


def test_only_the_clock_reads_the_time() -> None:
    """The loop's own `time()` is allowed, because its timers use it."""
    found = [name for name, tree in TREES.items() if "time" in imported(tree)]
    assert found == ["core/clock.py"]
    calls = [at(name, node) for name, node in nodes(ast.Attribute) if getattr(node, "attr", "") in ("utcnow", "today")]
    now = [
        at(name, node)
        for name, node in nodes(ast.Attribute)
        if isinstance(node, ast.Attribute)
        and node.attr == "now"
        and ast.unparse(node.value).endswith(("datetime", "date"))
    ]
    assert calls + now == []


def test_randomness_is_passed_in() -> None:
    found = [
        at(name, node)
        for name, node in nodes(ast.Attribute)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random" and node.attr != "Random"
    ]
    assert found == []


def test_providers_are_named_in_their_own_rooms_only() -> None:
    found = set()
    for name, tree in TREES.items():
        if name.startswith(("providers/", "dialects/")):
            continue
        documentation = docstrings(tree)
        for node in ast.walk(tree):
            match node:
                case ast.Constant(str() as text) if node not in documentation and PROVIDER_NAME.search(text):
                    found.add(name)
                case ast.Name(text) | ast.Attribute(attr=text) if PROVIDER_NAME.search(text):
                    found.add(name)
    assert found == set(NAMES_PROVIDERS)


@pytest.mark.parametrize("package", HOMES)
def test_a_third_party_package_is_imported_in_its_home_only(package: str) -> None:
    users = [name for name, tree in TREES.items() if package in imported(tree)]
    assert users, f"{package} is not used: remove it from setup.cfg and from this list"
    assert [name for name in users if not name.startswith(HOMES[package])] == []


def test_every_exception_is_caught_in_listed_places_only() -> None:
    found = set()
    for name, node in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        assert node.type is not None, f"{at(name, node)}: a bare except"
        if ast.unparse(node.type) == "Exception":
            found.add(name)
    assert found == set(CATCHES_ALL)


def test_only_commands_write_to_stdout_and_stderr_themselves() -> None:
    """A write may block for ever: processes with a loop write through `observability/line_writer.py`."""
    found = set()
    for name, node in nodes(ast.AST):
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" | "__stdout__" | "__stderr__"):
                found.add(name)
            case ast.Call(func=ast.Name(id="print")):
                found.add(name)
            case ast.Attribute(attr="StreamHandler" | "basicConfig" | "print_exc" | "print_exception" | "print_stack"):
                found.add(name)
    assert found == set(WRITES_ITSELF)


def test_caught_cancellation_is_raised_again() -> None:
    found = []
    for name, node in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        catches = ast.unparse(node.type) if node.type is not None else ""
        raises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        if re.search(r"\b(BaseException|CancelledError)\b", catches) and not raises:
            found.append(at(name, node))
    assert found == []


def test_no_file_has_a_meaningless_name() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    assert [name for name in SOURCES if set(name.removesuffix(".py").split("/")) & empty] == []


@pytest.mark.timeout(240)
def test_every_module_imports_alone() -> None:
    """No module depends on another having been imported before it: each is imported first, in turn."""
    modules = [
        "gateway." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in SOURCES
        if name not in ("__init__.py", "__main__.py")
    ]
    program = """
import importlib, sys
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "gateway"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(f"{module}: {error}")
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *modules], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.stdout + result.stderr == ""
