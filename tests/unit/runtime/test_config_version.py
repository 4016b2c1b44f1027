"""A configuration survives the bus unchanged."""

from pathlib import Path

import pytest

from gateway.compile.check import load_and_check
from gateway.runtime.config_version import ConfigVersion, decode_spec

ROOT = Path(__file__).parents[3]
ENV = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "GATEWAY_ADMIN_KEY": "k3", "PORT": "8000"}


@pytest.mark.parametrize("path", [ROOT / "gateway.yaml", *sorted((ROOT / "config/examples").glob("*.yaml"))], ids=str)
def test_a_spec_arrives_equal_to_what_was_sent(path: Path) -> None:
    spec = load_and_check(path, ENV).spec
    version = ConfigVersion.of(7, spec, {"local": "unix:/x"})
    assert decode_spec(version.encoded) == spec
    assert "Secret(***)" in repr(version) or not any(one.key for one in spec.providers.values())
