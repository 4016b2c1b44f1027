"""A process whose loop is stuck ends nevertheless, a while after whoever started it."""

import socket
import subprocess
import sys

STUCK = """
import socket, sys, threading
from gateway.runtime.lifeline import end_after
end_after(socket.socket(fileno=int(sys.argv[1])), lambda: 0.05)
print("stuck", flush=True)
threading.Event().wait()
"""


def test_a_stuck_process_ends_after_its_patience_when_the_other_side_is_gone() -> None:
    ours, theirs = socket.socketpair()
    with (
        theirs,
        subprocess.Popen(
            [sys.executable, "-c", STUCK, str(theirs.fileno())], stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"stuck\n"
        assert process.poll() is None
        ours.close()
        assert process.wait(10) == 1
