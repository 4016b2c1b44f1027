"""llama.cpp's own server on a TCP port, as anybody would run it: `python -m tests.matrix.llama_server PORT WEIGHTS`."""

import signal
import sys

import xllamacpp


def main(port: int, weights: str) -> None:
    """Serve until SIGTERM."""
    asked = xllamacpp.CommonParams()
    asked.model.path = weights
    asked.hostnames = ["127.0.0.1"]
    asked.port = port
    asked.n_parallel = 2
    asked.n_ctx = 2 * 2048
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    asked.verbosity = 1
    asked.fit_params = False
    asked.ui = False
    server = xllamacpp.Server(asked)
    while server is not None:  # it runs in threads of its own, for as long as this object lives
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
