"""Control and the command line find the same socket, and nobody else can stand in for it."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.runtime.control_socket import candidates, make_private_folder, open_control_socket
from gateway.runtime.listeners import ListenError


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a path that leaves room for a socket, also standing in for the system's temporary one."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: folder)
        yield Path(folder)


def test_the_place_depends_on_the_absolute_path_alone(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(short)
    assert candidates(Path("gateway.yaml")) == candidates(Path.cwd() / "gateway.yaml")
    assert candidates(Path("gateway.yaml")) != candidates(Path("other.yaml"))


def test_a_link_that_changes_its_target_does_not_move_the_place(short: Path) -> None:
    link = short / "gateway.yaml"
    link.symlink_to("first")
    before = candidates(link)
    link.unlink()
    link.symlink_to("second")
    assert candidates(link) == before


def test_the_first_place_is_beside_the_file_and_private(short: Path) -> None:
    with open_control_socket(short / "gateway.yaml") as one:
        place = Path(one.getsockname())
        assert place == candidates(short / "gateway.yaml")[0]
        assert place.parent == short / ".gateway"
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_long_path_leads_to_the_users_temporary_folder(short: Path) -> None:
    with open_control_socket(short / ("x" * 90) / "gateway.yaml") as one:
        assert Path(one.getsockname()).parent == short / f"gateway-{os.getuid()}"


def test_a_folder_that_others_can_write_to_is_not_used(short: Path) -> None:
    (short / ".gateway").mkdir()
    (short / ".gateway").chmod(0o777)
    with open_control_socket(short / "gateway.yaml") as one:
        assert Path(one.getsockname()).parent == short / f"gateway-{os.getuid()}"


def test_a_link_is_not_taken_for_a_folder(short: Path) -> None:
    (short / "real").mkdir()
    (short / ".gateway").symlink_to(short / "real")
    with pytest.raises(PermissionError):
        make_private_folder(short / ".gateway")


def test_no_place_at_all_is_an_error_that_says_why(short: Path) -> None:
    for name in (".gateway", f"gateway-{os.getuid()}"):
        (short / name).write_text("")
    with pytest.raises(ListenError, match="no place for the control socket"):
        open_control_socket(short / "gateway.yaml")
