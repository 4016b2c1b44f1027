"""A slice of the fuzzer of translated answers, the same each time; the whole is `python -m tests.bench.fuzz_translated`."""

from pathlib import Path

import pytest

from tests.bench.fuzz_translated import BODY, SERVER, aftermath, hostile, play
from tests.support.gateway import running_gateway


@pytest.mark.timeout(120)
def test_spoiled_answers_are_translated_or_refused_and_leave_nothing(tmp_path: Path) -> None:
    with hostile(7) as provider, running_gateway(tmp_path, BODY.format(url=provider.url), server=SERVER) as gateway:
        workers = gateway.worker_pids
        findings = play(gateway, 7, iter(range(600)))
        assert [*findings.faults, *aftermath(gateway, workers)] == []
        assert findings.statuses[200] > 200 and findings.statuses[502] > 50, "the fuzzer has lost its edge"
