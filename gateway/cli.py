"""The command `gateway`: each subcommand a few lines over the rooms below.

What a subcommand needs is imported inside it: `gateway --help` is immediate, and `gateway run` has its worker started
before the rest is read. Results go to stdout, faults and warnings to stderr. Exit codes: 0 done, 1 refused or failed,
2 wrong usage (and for `run`: a bad configuration).
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import __version__

EXAMPLES = ("sidecar", "shared", "resilience", "pass-through", "local-only")

if TYPE_CHECKING:
    from gateway.config.load import Loaded
    from gateway.core.problem import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description="An LLM gateway, configured by one gateway.yaml.")
    parser.add_argument("--version", action="version", version=f"gateway {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("--config", type=Path, default=Path("gateway.yaml"), metavar="FILE", help="default: gateway.yaml")

    def add(name: str, command: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[file], help=about, description=about)
        added.set_defaults(command=command)
        return added

    run = add("run", _run, "serve until told to stop; SIGHUP reloads, SIGTERM stops")
    run.add_argument("--pid-file", type=Path, metavar="FILE", help="keep the process id in this file while it runs")
    check = add("check", _check, "check the configuration: every fault at once, exit code 1 if there is any")
    check.add_argument("--json", action="store_true", help="print the outcome as JSON")
    explain = add("explain", _explain, "tell where a request would go, and why")
    explain.add_argument("request", metavar="REQUEST.JSON", help="body of a chat completion; - for standard input")
    explain.add_argument("--tenant", default="", metavar="NAME", help="who asks; default: nobody in particular")
    explain.add_argument("--json", action="store_true", help="print the answer as JSON")
    add("reload", _reload, "have the running gateway read its configuration again")
    endpoints = add("endpoints", _endpoints, "show how the endpoints and pools of the running gateway stand")
    endpoints.add_argument("--json", action="store_true", help="print all of it as JSON")
    for name, about in (
        ("drain", "let nothing new go to an endpoint, or to all of a provider; what runs there finishes"),
        ("enable", "let a drained endpoint take requests again; forgets a refused key, a rest, a failed check, too"),
    ):
        turn = add(name, _turn, about)
        turn.add_argument("endpoint", metavar="ENDPOINT", help="as `gateway endpoints` shows it, or a provider's name")
        turn.set_defaults(what=name)
    add("schema", _schema, "print the JSON Schema of the configuration, for editors")
    init = add("init", _init, "write a commented gateway.yaml to begin with")
    init.add_argument(
        "--example", choices=EXAMPLES, metavar="NAME", help=f"another to begin with: {', '.join(EXAMPLES)}"
    )
    keys = add("keys", _keys_new, "make keys for tenants")
    keys.add_argument("what", choices=["new"], metavar="new", help="make a key; its hash goes into the configuration")
    return parser


def _run(given: argparse.Namespace) -> int:
    from gateway.runtime.control import run

    return run(given.config, given.pid_file)


def _check(given: argparse.Namespace) -> int:
    from gateway.core.problem import ConfigError

    loaded: Loaded | None = None
    problems: tuple[Problem, ...] = ()
    try:
        loaded = _load(given.config)
    except ConfigError as error:
        problems = error.problems
    warnings = loaded.warnings if loaded is not None else ()
    if given.json:
        outcome = {"ok": loaded is not None, "problems": _plain(problems), "warnings": _plain(warnings)}
        _print_json(outcome)
    else:
        _complain(problems)
        _complain(warnings, "warning: ")
        if loaded is not None:
            spec = loaded.spec
            routes = (*spec.routes, *spec.path_routes)
            counted = {"route": routes, "pool": spec.pools, "model": spec.models, "check": spec.checks}
            counts = ", ".join(f"{len(those)} {word}{'s'[len(those) == 1 :]}" for word, those in counted.items())
            print(f"{given.config}: ok ({counts})")
    return 0 if loaded is not None else 1


def _explain(given: argparse.Namespace) -> int:
    from gateway.core.problem import ConfigError
    from gateway.runtime.explain import explain

    try:
        body = sys.stdin.buffer.read() if given.request == "-" else Path(given.request).read_bytes()
        loaded = _load(given.config)
    except OSError as error:
        return _fail(f"{given.request}: {error.strerror}")
    except ConfigError as error:
        _complain(error.problems)
        return 1
    if given.tenant and given.tenant not in loaded.spec.tenants:
        return _fail(f"{given.config}: there is no tenant {given.tenant!r}")
    told = explain(loaded, body, given.tenant)
    if given.json:
        _print_json(told)
    else:
        print("\n".join(_lines(told)))
    return 1 if "error" in told else 0


def _reload(given: argparse.Namespace) -> int:
    from gateway.runtime.reload_client import reload

    return reload(given.config)


def _endpoints(given: argparse.Namespace) -> int:
    from gateway.runtime.endpoints_client import show

    return show(given.config, as_json=given.json)


def _turn(given: argparse.Namespace) -> int:
    from gateway.runtime.endpoints_client import turn

    return turn(given.config, given.what, given.endpoint)


def _schema(given: argparse.Namespace) -> int:
    from gateway.config.schema import schema_text
    from gateway.providers import provider_kinds

    print(schema_text(provider_kinds()), end="")
    return 0


def _init(given: argparse.Namespace) -> int:
    from gateway.config.sources import read_builtin

    _, _, rest = read_builtin(f"examples/{given.example}" if given.example else "starter").decode().partition("\n")
    first = "# yaml-language-server: $schema=./gateway.schema.json   (gateway schema > gateway.schema.json)\n"
    try:
        with given.config.open("x", encoding="utf-8") as file:
            file.write(first + rest)
    except FileExistsError:
        return _fail(f"{given.config}: is there already; name another with --config")
    except OSError as error:
        return _fail(f"{given.config}: {error.strerror}")
    print(f"{given.config}: written; `gateway run --config {given.config}` serves it")
    return 0


def _keys_new(given: argparse.Namespace) -> int:
    from hashlib import sha256
    from secrets import token_urlsafe

    key = f"sk-gw-{token_urlsafe(32)}"
    print(f"key, shown this once; give it to the customer:\n  {key}")
    print(f'its line for {given.config}, under tenants.NAME.keys:\n  - "sha256:{sha256(key.encode()).hexdigest()}"')
    return 0


def _load(path: Path) -> "Loaded":
    from gateway.runtime.checked import load_and_check

    return load_and_check(path, os.environ)


def _plain(problems: Sequence["Problem"]) -> list[dict[str, Any]]:
    return [
        {
            "file": one.place.file,
            "line": one.place.line,
            "column": one.place.column,
            "path": one.path,
            "message": one.message,
        }
        for one in problems
    ]


def _complain(problems: Sequence["Problem"], prefix: str = "") -> None:
    for problem in problems:
        print(f"{prefix}{problem}", file=sys.stderr)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def _lines(value: Any, indent: str = "") -> list[str]:
    """Lay out mappings and lists for reading."""
    lines: list[str] = []
    pairs = value.items() if isinstance(value, dict) else (("-", one) for one in value)
    width = max((len(str(key)) for key in value), default=0) if isinstance(value, dict) else 0
    for key, one in pairs:
        if isinstance(one, dict) and one and key == "-":
            first, *rest = _lines(one)
            lines += [f"{indent}- {first}", *(f"{indent}  {line}" for line in rest)]
        elif isinstance(one, dict | list) and one:
            lines += [f"{indent}{key}", *_lines(one, indent + "  ")]
        else:
            shown = (
                "none" if one is None or one in ([], {}) else str(one).lower() if isinstance(one, bool) else str(one)
            )
            lines.append(f"{indent}{key!s:<{width}}  {shown}" if key != "-" else f"{indent}- {shown}")
    return lines
