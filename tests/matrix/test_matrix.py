"""Each official client, in each dialect, with each provider: what works through the gateway, or else not without it either."""

from collections.abc import Callable
from dataclasses import dataclass
from traceback import walk_tb

import pytest

from tests.matrix import table
from tests.matrix.capabilities import CHECKS
from tests.matrix.cases import Cell, cells
from tests.matrix.probe import Probe

CELLS = list(cells())
EXPECTED = table.read(table.PAGE.read_text())


@pytest.mark.parametrize("cell", CELLS, ids=[cell.id for cell in CELLS])
def test_a_client_can_what_it_can_without_the_gateway(
    cell: Cell, probes_of: Callable[[Cell], tuple[Probe, Probe]], found: dict[Cell, str]
) -> None:
    check = CHECKS[cell.capability]
    through, direct = probes_of(cell)
    failure, found[cell] = _failure(check, through), table.WORKS
    if failure is not None:
        same = _failure(check, direct)
        assert same is not None and same.step == failure.step, f"through the gateway: {failure}; without it: {same}"
        found[cell] = same.why
    assert found[cell] == EXPECTED[cell] or table.IS_WRITTEN, "docs/compatibility.md says otherwise"


def test_the_page_has_these_cells_and_no_others() -> None:
    page = table.PAGE.read_text()
    assert page.partition(table.BEGIN)[2].partition(table.END)[0].strip() == table.render(EXPECTED).strip()


@dataclass(frozen=True)
class Failure:
    """What a check did not find. `step`: the line of the check."""

    step: int
    why: str


def _failure(check: Callable[[Probe], None], probe: Probe) -> Failure | None:
    try:
        check(probe)
    except AssertionError as error:
        steps = (line for frame, line in walk_tb(error.__traceback__) if frame.f_code is check.__code__)
        return Failure(next(steps), str(error).partition("\n")[0])
    return None
