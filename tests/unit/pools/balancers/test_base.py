"""The strategies by name: found by themselves, as many as the configuration knows."""

from typing import get_args

import pytest

from gateway.config.spec import Balance
from gateway.pools.balancers import load_strategies
from gateway.pools.balancers.base import BALANCERS


def test_every_strategy_that_the_file_may_name_is_there() -> None:
    assert set(BALANCERS) == set(get_args(Balance))


def test_loading_again_changes_nothing() -> None:
    before = dict(BALANCERS)
    load_strategies()
    assert dict(BALANCERS) == before


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="balancing strategy 'p2c' is registered twice"):
        BALANCERS.register("p2c", BALANCERS["p2c"])
