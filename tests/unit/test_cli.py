"""The command: what each subcommand prints, and its exit code."""

import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from gateway.cli import EXAMPLES, main
from gateway.config.schema import schema_text
from gateway.providers import provider_kinds
from tests.support.processes import free_port

EXAMPLE_FILES = Path(__file__).parents[2] / "config" / "examples"
SOUND = """\
version: 1
providers: {local: {kind: llamacpp}, web: {kind: openai, key: "${WEB_KEY_OF_NO_MACHINE:-}"}}
models: {m: {provider: local, price: {input: 0, output: 0}}, far: {provider: web, price: {input: 1, output: 1}}}
pools: {p: {members: [far, m]}}
routes: [{name: r, match: [auto], to: p}, {name: t, match: [other], when: 'tenant == "acme"', to: m}]
checks: [{name: c, given: {model: auto}, expect: {route: r, pool: p}}]
"""
ACME = f"tenants: {{acme: {{keys: ['sha256:{'ab' * 32}']}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "g.yaml"
    path.write_text(SOUND)
    return path


def test_check_says_ok_and_warns(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: ok (2 routes, 1 pool, 2 models, 1 check)\n"
    assert (
        err
        == f'warning: {file}:2:63: providers.web.key: provider "web" is off: its key is empty (${{WEB_KEY_OF_NO_MACHINE}})\n'
    )


@pytest.mark.parametrize("option", ["--config", "-c", ""])
def test_check_takes_the_file_in_three_ways(option: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *filter(None, [option]), str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: ok")


def test_check_live_asks_the_providers(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SOUND.replace('key: "${WEB_KEY_OF_NO_MACHINE:-}"', f"proxy: none, url: 'http://127.0.0.1:{free_port()}/v1'")
    file.write_text(text)
    assert main(["check", "--live", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{file}: ok")
    assert err.startswith("live: web: no connection to the provider")
    assert main(["check", "--live", "--json", str(file)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["live"][0]["provider"], document["live"][0]["ok"]) == (False, "web", False)


def test_check_prints_every_fault_and_exits_with_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOUND + "modles: {}\nserver: {watch: yes}\n")
    assert main(["check", "--config", str(file)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f'{file}:7:1: modles: unknown key; did you mean "models"?',
        f'{file}:8:17: server.watch: must be true or false, without quotes (got "yes")',
    ]


def test_check_runs_the_files_own_checks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOUND.replace("expect: {route: r, pool: p}", "expect: {route: t}"))
    assert main(["check", "--config", str(file)]) == 1
    assert f"{file}:6:10: checks: c: " in capsys.readouterr().err


def test_check_as_json_has_places(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOUND + "modles: {}\n")
    assert main(["check", "--json", "--config", str(file)]) == 1
    outcome = json.loads(capsys.readouterr().out)
    problem = {
        "file": str(file),
        "line": 7,
        "column": 1,
        "path": "modles",
        "message": 'unknown key; did you mean "models"?',
    }
    assert outcome == {"ok": False, "problems": [problem], "warnings": []}


def test_check_of_no_file_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/none.yaml: no such file; `gateway init` writes one to begin with\n"


def test_explain_tells_the_route_and_the_endpoints(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}')
    assert main(["explain", str(request), "--config", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["route"], told["goal"], told["endpoints"][0]["endpoint"]) == ("r", "p", "local/m")
    assert main(["explain", str(request), "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"route +r", lines[0])
    assert "    endpoint  local/m" in lines


def test_explain_asks_as_a_tenant(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOUND + ACME)
    request = tmp_path / "request.json"
    request.write_text('{"model": "other", "messages": [{"role": "user", "content": "hi"}]}')
    assert main(["explain", str(request), "--tenant", "acme", "--config", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["route"] == "t"
    assert main(["explain", str(request), "--tenant", "acne", "--config", str(file)]) == 1
    assert capsys.readouterr().err == f"{file}: there is no tenant 'acne'\n"


def test_explain_takes_headers_path_and_hour(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routes = """routes:
  - {name: night, match: [auto], when: 'now.hour < 6', to: m}
  - {name: team, match: [auto], when: 'headers["x-team"] == "search"', to: m}
  - {name: other-api, match: [auto], when: 'request.path == "/v1/messages"', to: m}
  - {name: r, match: [auto], to: p}
"""
    file.write_text(
        "".join(line for line in SOUND.splitlines(True) if not line.startswith(("routes", "checks"))) + routes
    )
    request = tmp_path / "request.json"
    request.write_text('{"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}')

    def explained(*options: str) -> dict[str, Any]:
        assert main(["explain", str(request), "-c", str(file), "--json", *options]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    assert explained("--at", "3")["route"] == "night"
    assert explained("--at", "05:59")["route"] == "night"
    assert explained("--at", "2026-01-31T14:30", "--header", "X-Team: search")["route"] == "team"
    assert explained("--at", "14", "--path", "/v1/messages")["route"] == "other-api"
    found = explained("--at", "14", "--header", "x-team: ads")
    assert found["route"] == "r"
    assert found["passed_over"] == [
        {"route": "night", "why": "its condition is false: now.hour < 6 (now.hour is 14)"},
        {"route": "team", "why": 'its condition is false: headers["x-team"] == "search" (headers["x-team"] is "ads")'},
        {
            "route": "other-api",
            "why": 'its condition is false: request.path == "/v1/messages" (request.path is "/v1/chat/completions")',
        },
    ]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--header", "x-team", "--header takes NAME: VALUE, as in --header 'x-team: search'\n"),
        ("--at", "25", "--at takes an hour (14), a time (14:30) or a date with a time (2026-01-31T14:30); got '25'\n"),
        (
            "--at",
            "noon",
            "--at takes an hour (14), a time (14:30) or a date with a time (2026-01-31T14:30); got 'noon'\n",
        ),
    ],
)
def test_explain_says_how_an_option_is_written(
    option: str, value: str, message: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}')
    assert main(["explain", str(request), "-c", str(file), option, value]) == 1
    assert capsys.readouterr().err == message


def test_explain_of_what_would_be_refused_exits_with_1(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"model": "nothing", "messages": [{"role": "user", "content": "hi"}]}')
    assert main(["explain", str(request), "--config", str(file)]) == 1
    assert "model_not_found" in capsys.readouterr().out
    assert main(["explain", str(tmp_path / "none.json"), "--config", str(file)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/none.json: No such file or directory\n"


def test_schema_is_that_of_the_registered_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text(provider_kinds())


@pytest.mark.parametrize("example", EXAMPLES)
def test_init_writes_an_example_that_checks_and_that_editors_know(example: str, tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert main(["init", "--example", example, "--config", str(path)]) == 0
    assert main(["check", "--config", str(path)]) == 0
    first, _, rest = path.read_text().partition("\n")
    assert first.startswith("# yaml-language-server: $schema=./gateway.schema.json")
    assert rest == (EXAMPLE_FILES / f"{example}.yaml").read_text().partition("\n")[2]


def test_init_writes_a_file_that_checks_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    assert main(["init", "--config", str(path)]) == 0
    assert main(["check", "--config", str(path)]) == 0
    written = path.read_text()
    assert main(["init", "--config", str(path)]) == 1
    assert capsys.readouterr().err.endswith(f"{path}: exists already; name another file with --config\n")
    assert path.read_text() == written


def test_keys_new_prints_a_key_and_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    keys = set()
    for _ in range(2):
        assert main(["keys", "new"]) == 0
        out = capsys.readouterr().out
        key = re.search(r"sk-gw-[A-Za-z0-9_-]{43}\b", out)
        assert key is not None
        assert f'- "sha256:{sha256(key[0].encode()).hexdigest()}"' in out
        keys.add(key[0])
    assert len(keys) == 2


def test_reload_without_a_gateway_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", "--config", str(file)]) == 1
    assert capsys.readouterr().err == f"{file}: no gateway is running with this file\n"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["keys"], ["keys", "old"], ["explain"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err.startswith("usage: gateway")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["--version"])
    assert error.value.code == 0
    assert capsys.readouterr().out == f"gateway {__version__}\n"


def test_the_command_starts_without_the_heavy_packages() -> None:
    code = "import sys, gateway.cli; print([m for m in ('aiohttp', 'asyncio', 'yaml', 'jsonschema', 'cel_expr_python') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"
