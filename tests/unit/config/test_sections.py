"""The list of sections: a new one needs no edit in another."""

from typing import Any

import pytest

from gateway.config import load, schema
from gateway.config.definitions import mapping, ref
from gateway.config.language import SECTIONS
from gateway.config.messages import path_text
from gateway.config.names import Names
from gateway.config.read import Reader
from gateway.config.section import ReadContext, Section
from tests.unit.config.conftest import Files, config

SHADE = mapping({"depth": ref("count", "how deep")}, "A colour.")
TENANT = f"tenants: {{t: {{keys: ['sha256:{'a' * 64}'], shade: {{depth: 2k}}}}}}"
ROUTES = (
    "routes: [{name: r, match: [auto], to: m, shade: {depth: 3}}, {name: p, paths: [/v1/files], provider: local, "
    "shade: {depth: 4}}]"
)


@pytest.fixture
def shades(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Add a section `shade` that tenants and routes by name may have too; return what it reads."""
    found: dict[str, Any] = {}

    def read(context: ReadContext) -> dict[str, Any]:
        found[""] = context.values.get("shade")
        for level in ("tenant", "route"):
            for trail, value in context.at_level(level, "shade"):
                found[path_text(trail)] = value
        return {}

    def check(reader: Reader, names: Names) -> None:
        if names.section("shade").get("depth") == 13:
            reader.complain(("shade", "depth"), "is unlucky")

    added = Section("shade", lambda context: SHADE, read, (check,), at_levels={"tenant": SHADE, "route": SHADE})
    for module in (load, schema):
        monkeypatch.setattr(module, "SECTIONS", (*SECTIONS, added))
    return found


def test_a_new_section_is_read_at_every_level_where_it_stands(files: Files, shades: dict[str, Any]) -> None:
    routes = ROUTES.replace(", shade: {depth: 4}", "")
    files.load(config(shade="shade: {depth: 1}", tenants=TENANT, routes=routes))
    assert shades == {"": {"depth": 1}, "tenants.t": {"depth": 2000}, "routes[0]": {"depth": 3}}


def test_a_new_section_is_checked(files: Files, shades: dict[str, Any]) -> None:
    assert files.errors(config(shade="shade: {depth: 13}")) == ["5:16: shade.depth: is unlucky"]
    assert files.errors(config(shade="shade: {deep: 13}"))[0].startswith("5:9: shade.deep: unknown key")


def test_every_key_stands_once() -> None:
    keys = [section.key for section in SECTIONS]
    assert len(keys) == len(set(keys))


def test_it_is_refused_at_other_levels(files: Files, shades: dict[str, Any]) -> None:
    assert "belongs to routes with `match` and `to`" in files.errors(config(routes=ROUTES))[0]
    assert "shade: unknown key" in files.errors(config(pools="pools: {q: {members: [m], shade: {depth: 1}}}"))[0]
