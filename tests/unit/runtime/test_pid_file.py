"""The process id stands in its file while the gateway lives; what a dead one left behind is no obstacle."""

import os
from pathlib import Path

import pytest

from gateway.runtime.pid_file import PidFileError, pid_file


def test_it_holds_the_process_id_and_is_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pid"
    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_it_is_gone_after_a_failure_too(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pid"
    with pytest.raises(KeyError), pid_file(path):
        raise KeyError
    assert not path.exists()


def test_a_stale_file_is_taken_over_even_if_its_process_id_lives(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pid"
    path.write_text(f"{os.getppid()} and some more text\n")
    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_held_file_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pid"
    with pid_file(path):
        message = rf"^pid file {path}: another gateway is running \(pid {os.getpid()}\)$"
        with pytest.raises(PidFileError, match=message), pid_file(path):
            pass
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    (tmp_path / "gateway.pid").symlink_to(tmp_path / "precious")
    with pytest.raises(PidFileError, match=r"gateway\.pid: too many levels"), pid_file(tmp_path / "gateway.pid"):
        pass
    assert (tmp_path / "precious").read_text() == "data"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="no such file or directory"), pid_file(tmp_path / "no" / "gateway.pid"):
        pass


def test_without_a_path_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pid_file(None):
        assert not list(tmp_path.iterdir())
