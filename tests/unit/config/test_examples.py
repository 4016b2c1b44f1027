"""The files that the project ships: sound on a bare machine, and what they promise."""

from pathlib import Path

import pytest
import yaml

from gateway.cli import EXAMPLES
from gateway.compile.check import load_and_check
from gateway.config.load import load_text
from gateway.config.sources import read_builtin
from gateway.core.problem import Problem
from gateway.providers import provider_kinds

ROOT = Path(__file__).parents[3]
FILES = ["gateway.yaml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("config/examples/*.yaml"))]


def warnings(file: str) -> tuple[Problem, ...]:
    return load_and_check(ROOT / file, {}).warnings


def test_the_five_examples_are_there() -> None:
    assert FILES[1:] == [
        "config/examples/local-only.yaml",
        "config/examples/pass-through.yaml",
        "config/examples/resilience.yaml",
        "config/examples/shared.yaml",
        "config/examples/sidecar.yaml",
    ]


@pytest.mark.parametrize("file", FILES)
def test_loads_with_an_empty_environment_and_warns_only_of_providers_that_are_off(file: str) -> None:
    assert all("is off: its key" in one.message for one in warnings(file))


def test_the_committed_file_reaches_the_embedded_model_from_every_pool() -> None:
    spec = load_and_check(ROOT / "gateway.yaml", {}).spec
    for pool in spec.pools.values():
        reached = {member.model for member in pool.members}
        while pool.then in spec.pools:
            pool = spec.pools[pool.then]
            reached |= {member.model for member in pool.members}
        assert "smollm2" in reached
    assert len(warnings("gateway.yaml")) == 2, "both vendors are off without their keys"
    assert spec.tenants == {}


def test_init_writes_the_committed_file() -> None:
    assert read_builtin("starter").decode() == (ROOT / "gateway.yaml").read_text()


@pytest.mark.parametrize("file", FILES[1:])
def test_the_examples_are_shipped_as_they_are(file: str) -> None:
    assert read_builtin(f"examples/{Path(file).stem}").decode() == (ROOT / file).read_text()


def test_init_knows_every_example() -> None:
    assert sorted(EXAMPLES) == [Path(file).stem for file in FILES[1:]]


def test_the_builtin_price_table_is_sound() -> None:
    names = list(yaml.safe_load(read_builtin("prices"))["models"])
    assert len(names) > 20
    text = "include: [builtin:prices]\nproviders: {p: {kind: openai}}\nroutes: [{name: r, match: ['*'], to: requested}]\nmodels:\n"
    text += "".join(f'  "{name}": {{provider: p}}\n' for name in names)
    spec = load_text(text.encode(), Path("gateway.yaml"), env={}, kinds=provider_kinds()).spec
    cheaper = {name for name, model in spec.models.items() if model.price.output < model.price.input}
    assert cheaper == {name for name in names if "embedding" in name}, "which put nothing out"
