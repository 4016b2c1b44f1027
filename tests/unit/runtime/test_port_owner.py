"""The process that listens on a port is named, as far as /proc shows it."""

import os
import socket
from pathlib import Path

import pytest

from gateway.runtime.port_owner import port_owner
from tests.support.processes import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_this_process_is_found_by_its_port(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        assert port_owner(server.getsockname()[1]).endswith(f" (pid {os.getpid()})")


def test_a_port_that_nothing_listens_on_has_no_owner() -> None:
    assert port_owner(free_port()) == ""
    assert port_owner(0) == ""


def proc_of(folder: Path, command: bytes, *, may_read: bool = True) -> Path:
    """Return a /proc in which process 42 listens on port 8000 (hexadecimal 1F40)."""
    (folder / "net").mkdir()
    head = "sl local_address rem_address st tx_queue tr tm->when retrnsmt uid timeout inode"
    line = "0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1"
    (folder / "net" / "tcp").write_text(f"{head}\n{line}\n")
    (folder / "42" / "fd").mkdir(parents=True)
    (folder / "42" / "comm").write_text("python\n")
    (folder / "42" / "cmdline").write_bytes(command)
    if may_read:
        (folder / "42" / "fd" / "3").symlink_to("socket:[777]")
    return folder


def test_a_module_is_named_rather_than_its_interpreter(tmp_path: Path) -> None:
    assert port_owner(8000, proc_of(tmp_path, b"python\0-m\0uvicorn\0")) == "uvicorn (pid 42)"


def test_a_program_is_named_without_its_arguments(tmp_path: Path) -> None:
    assert port_owner(8000, proc_of(tmp_path, b"/usr/bin/x\0--key\0secret\0")) == "python (pid 42)"


def test_what_another_user_runs_stays_unnamed(tmp_path: Path) -> None:
    assert port_owner(8000, proc_of(tmp_path, b"x\0", may_read=False)) == ""


def test_a_machine_without_proc_names_nothing(tmp_path: Path) -> None:
    assert port_owner(8000, tmp_path / "nothing") == ""
