"""Which setting stands at which level, in the schema and in what is read."""

from typing import get_args

import pytest

from gateway.config.definitions import definitions
from gateway.config.levels import Level
from gateway.config.settings import SETTINGS, setting_definitions, settings_at
from gateway.resilience.policies import Policies

LEVELS = {level: settings_at(level) for level in get_args(Level)}


@pytest.mark.parametrize("level", LEVELS)
def test_every_setting_of_a_level_has_its_definition(level: Level) -> None:
    known = definitions() | setting_definitions()
    for setting, schema in settings_at(level).items():
        assert schema["$ref"] == f"#/$defs/{setting}" and setting in known


def test_the_levels_together_hold_what_is_merged() -> None:
    merged = set(Policies.__dataclass_fields__) - {"timeouts"} | {"timeout"}
    assert {setting for level in LEVELS.values() for setting in level} == merged


def test_what_holds_where_nothing_is_said_is_told_as_it_is() -> None:
    told = {**settings_at("pool"), **settings_at("defaults")}
    for setting, held in (("balance", "in_order"), ("all_open", "reject"), ("hash_by", "conversation")):
        assert told[setting]["default"] == held == getattr(Policies(), setting)
    assert (told["max_inflight"]["default"], Policies().max_inflight) == ("none", None)


def test_a_breaker_is_for_what_has_endpoints() -> None:
    assert {level for level, settings in LEVELS.items() if "breaker" in settings} == {
        "defaults",
        "provider",
        "model",
        "pool",
    }


def test_every_key_stands_once() -> None:
    keys = [setting.key for setting in SETTINGS]
    assert len(keys) == len(set(keys))
