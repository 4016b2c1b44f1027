"""The admin key is shown on a terminal or kept in a private file, and never logged."""

import logging
import stat
from pathlib import Path

import pytest

from gateway.config.spec import AdminSpec, LogSpec, Policy, ServerSpec, Spec
from gateway.core.secret import Secret
from gateway.runtime.admin_key import admin_key


def spec_in(folder: Path, key: Secret | None = None) -> Spec:
    server = ServerSpec(admin=AdminSpec(key=key))
    return Spec(server, str(folder), {}, {}, {}, Policy(), {}, (), {}, LogSpec(), (), "")


def test_the_configured_key_is_taken_and_written_nowhere(tmp_path: Path) -> None:
    shown: list[str] = []
    key = Secret("configured")
    assert admin_key(spec_in(tmp_path / "state", key), shown.append) is key
    assert shown == []
    assert not (tmp_path / "state").exists()


def test_a_made_key_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    shown: list[str] = []
    key = admin_key(spec_in(tmp_path / "state"), shown.append)
    assert shown == [f"admin key, for this run: {key.value}\n"]
    assert not (tmp_path / "state").exists()


def test_without_a_terminal_it_stands_in_a_private_file_and_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = admin_key(spec_in(tmp_path / "state"), None)
    path = tmp_path / "state" / "admin.key"
    assert path.read_text() == key.value + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert all(key.value not in str(vars(record)) for record in caplog.records)


def test_the_file_is_replaced_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "state" / "admin.key").symlink_to(target)
    admin_key(spec_in(tmp_path / "state"), None)
    assert target.read_text() == "mine"
    assert not (tmp_path / "state" / "admin.key").is_symlink()


def test_keys_of_two_runs_differ(tmp_path: Path) -> None:
    first, second = (admin_key(spec_in(tmp_path / "s"), None) for _ in range(2))
    assert first.value != second.value
    assert len(first.value) >= 40


def test_no_place_for_it_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file")
    key = admin_key(spec_in(tmp_path / "state"), None)
    assert key.value not in caplog.text
    assert [record.message for record in caplog.records] == ["admin key could not be written: set server.admin.key"]
