"""A configuration that passes the check is known to compile."""

from pathlib import Path
from typing import Any

import pytest

from gateway.compile import check
from gateway.compile.check import load_and_check
from tests.support.compiling import ENV, TEXT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return path


def test_it_is_compiled_for_one_worker(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    real = check.compile_snapshot
    monkeypatch.setattr(check, "compile_snapshot", lambda *args, **kwargs: compiled.append(real(*args, **kwargs)))
    spec = load_and_check(path, ENV).spec
    assert [one.spec for one in compiled] == [spec]
