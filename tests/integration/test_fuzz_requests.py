"""A slice of the fuzzer of requests, the same each time; the whole is `python -m tests.bench.fuzz_requests`."""

from pathlib import Path

import pytest

from tests.bench.fuzz_requests import CONFIG, SERVER, fuzz
from tests.support.gateway import running_gateway


@pytest.mark.timeout(120)
def test_spoiled_requests_are_answered_or_refused_and_leave_nothing(tmp_path: Path) -> None:
    with running_gateway(tmp_path, CONFIG, server=SERVER) as gateway:
        tally = fuzz(gateway, 7, range(300))
    assert tally.faults == []
    assert tally.cases == 300
    assert {200, 400, 404, 408} <= set(tally.statuses)
