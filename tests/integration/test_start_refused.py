"""What the gateway does not start without."""

from pathlib import Path

from tests.support.gateway import GatewayProcess

BODY = """
providers: {sim: {kind: openai, url: "http://127.0.0.1:1"}}
models: {m: {provider: sim, price: {input: 1, output: 2}, quality: 0.5}}
routes: [{name: direct, match: ["*"], to: requested}]
"""


def test_without_the_strict_parser_it_says_so_in_one_line_and_ends(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, BODY, env={"AIOHTTP_NO_EXTENSIONS": "1"}, wait=False) as process:
        assert process.wait() == 1
        (line,) = process.log().splitlines()
    assert line.startswith("gateway: aiohttp is without its C parser")
    assert "AIOHTTP_NO_EXTENSIONS" in line
