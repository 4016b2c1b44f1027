"""The command `gateway`: each subcommand a few lines over the rooms below.

Each subcommand imports its modules itself: `gateway --help` is immediate, and `gateway run` launches its first worker
before it imports the rest. Results go to stdout, errors and warnings to stderr. Exit codes: 0 done, 1 refused or failed,
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
    from gateway.runtime.live_check import Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return the exit code."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except BrokenPipeError:  # the reader of the output has exited, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description="An LLM gateway, configured by one gateway.yaml.")
    parser.add_argument("--version", action="version", version=f"gateway {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument(
        "-c", "--config", type=Path, default=Path("gateway.yaml"), metavar="FILE", help="default: gateway.yaml"
    )

    def add(name: str, command: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[file], help=about, description=about)
        added.set_defaults(command=command)
        return added

    run = add("run", _run, "serve until stopped; SIGHUP reloads, SIGTERM stops")
    run.add_argument("--pid-file", type=Path, metavar="FILE", help="keep the process id in this file while it runs")
    check = add("check", _check, "check the configuration: print all problems, exit code 1 if there is any")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the same as --config FILE")
    check.add_argument("--live", action="store_true", help="then ask every provider for its models; no prompt is sent")
    check.add_argument("--json", action="store_true", help="print the outcome as JSON")
    explain = add("explain", _explain, "show which endpoints a request would be sent to, and why")
    explain.add_argument("request", metavar="REQUEST.JSON", help="body of a chat completion; - for standard input")
    explain.add_argument("--tenant", default="", metavar="NAME", help="the tenant that sends it; default: no tenant")
    explain.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request; may be repeated",
    )
    explain.add_argument("--path", default="/v1/chat/completions", help="its path; default: /v1/chat/completions")
    explain.add_argument("--at", metavar="TIME", help="UTC hour (14), time (14:30) or 2026-01-31T14:30; default: now")
    explain.add_argument("--json", action="store_true", help="print the result as JSON")
    add("reload", _reload, "make the running gateway read its configuration again")
    endpoints = add("endpoints", _endpoints, "show the state of the running gateway's endpoints and pools")
    endpoints.add_argument("--json", action="store_true", help="print all of it as JSON")
    for name, about in (
        ("drain", "stop sending new requests to an endpoint, or to all of a provider; running ones finish"),
        ("enable", "send requests to a drained endpoint again; resets a refused key, a rest and a failed check, too"),
    ):
        action = add(name, _set_rotation, about)
        action.add_argument(
            "endpoint", metavar="ENDPOINT", help="as `gateway endpoints` shows it, or a provider's name"
        )
        action.set_defaults(action=name)
    add("schema", _schema, "print the JSON Schema of the configuration, for editors")
    init = add("init", _init, "write a commented gateway.yaml to start from")
    init.add_argument(
        "--example", choices=EXAMPLES, metavar="NAME", help=f"start from another example: {', '.join(EXAMPLES)}"
    )
    keys = add("keys", _keys_new, "make keys for tenants")
    keys.add_argument("what", choices=["new"], metavar="new", help="make a key; its hash goes into the configuration")
    return parser


def _run(given: argparse.Namespace) -> int:
    from gateway.runtime.control import run

    return run(given.config, given.pid_file)


def _check(given: argparse.Namespace) -> int:
    from gateway.core.problem import ConfigError

    given.config = given.file or given.config
    loaded: Loaded | None = None
    problems: tuple[Problem, ...] = ()
    try:
        loaded = _load(given.config)
    except ConfigError as error:
        problems = error.problems
    warnings = loaded.warnings if loaded is not None else ()
    live = _check_live(loaded) if given.live and loaded is not None else []
    is_ok = loaded is not None and all(one.is_ok for one in live)
    if given.json:
        outcome = {"ok": is_ok, "problems": _as_json(problems), "warnings": _as_json(warnings)}
        asked = [{"provider": one.provider, "ok": one.is_ok, "message": one.message} for one in live]
        _print_json(outcome | ({"live": asked} if given.live else {}))
    else:
        _print_problems(problems)
        _print_problems(warnings, "warning: ")
        if loaded is not None:
            spec = loaded.spec
            routes = (*spec.routes, *spec.path_routes)
            counted = {"route": routes, "pool": spec.pools, "model": spec.models, "check": spec.checks}
            counts = ", ".join(f"{len(those)} {word}{'s'[len(those) == 1 :]}" for word, those in counted.items())
            print(f"{given.config}: ok ({counts})")
        for one in live:
            print(f"live: {one}", file=sys.stdout if one.is_ok else sys.stderr)
    return 0 if is_ok else 1


def _check_live(loaded: "Loaded") -> "list[Outcome]":
    from gateway.runtime.live_check import check_live

    return check_live(loaded.spec)


def _explain(given: argparse.Namespace) -> int:
    from gateway.core.problem import ConfigError
    from gateway.runtime.explain import Circumstances, explain, moment

    try:
        body = sys.stdin.buffer.read() if given.request == "-" else Path(given.request).read_bytes()
        loaded = _load(given.config)
    except OSError as error:
        return _fail(f"{given.request}: {error.strerror}")
    except ConfigError as error:
        _print_problems(error.problems)
        return 1
    if given.tenant and given.tenant not in loaded.spec.tenants:
        return _fail(f"{given.config}: there is no tenant {given.tenant!r}")
    headers = dict(_header(line) for line in given.header)
    if "" in headers:
        return _fail("--header takes NAME: VALUE, as in --header 'x-team: search'")
    try:
        wall_s = None if given.at is None else moment(given.at)
    except ValueError:
        return _fail(
            f"--at takes an hour (14), a time (14:30) or a date with a time (2026-01-31T14:30); got {given.at!r}"
        )
    explanation = explain(loaded, body, given.tenant, circumstances=Circumstances(headers, given.path, wall_s))
    if given.json:
        _print_json(explanation)
    else:
        print("\n".join(_lines(explanation)))
    return 1 if "error" in explanation else 0


def _header(line: str) -> tuple[str, str]:
    """Return name and value of `x-team: search`; an empty name where there is none."""
    name, colon, value = line.partition(":")
    return (name.strip().lower(), value.strip()) if colon else ("", "")


def _reload(given: argparse.Namespace) -> int:
    from gateway.runtime.admin_commands import reload

    return reload(given.config)


def _endpoints(given: argparse.Namespace) -> int:
    from gateway.runtime.admin_commands import show_endpoints

    return show_endpoints(given.config, as_json=given.json)


def _set_rotation(given: argparse.Namespace) -> int:
    from gateway.runtime.admin_commands import set_rotation

    return set_rotation(given.config, given.action, given.endpoint)


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
        return _fail(f"{given.config}: exists already; name another file with --config")
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
    from gateway.compile.check import load_and_check

    return load_and_check(path, os.environ)


def _as_json(problems: Sequence["Problem"]) -> list[dict[str, Any]]:
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


def _print_problems(problems: Sequence["Problem"], prefix: str = "") -> None:
    for problem in problems:
        print(f"{prefix}{problem}", file=sys.stderr)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def _lines(value: Any, indent: str = "") -> list[str]:
    """Return mappings and lists as aligned text."""
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
