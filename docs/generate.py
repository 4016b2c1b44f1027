"""Write the generated blocks of the pages in this folder, and both copies of the JSON Schema (`make docs`).

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything around it is written by hand. To add one,
put the two marks into a page and the function that returns its Markdown into `BLOCKS`. `tests/test_docs.py` fails while a
page differs from what this script writes.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway.config import reference
from gateway.config.schema import schema_text
from gateway.core.errors import caller, capacity, upstream
from gateway.core.errors.base import ErrorCode
from gateway.observability import families
from gateway.providers import provider_kinds


def codes_table(codes: tuple[ErrorCode, ...]) -> str:
    """Return the table of a family of error codes; a dagger marks those that count for the breaker."""
    rows = [f"| `{one.code}`{' †' * one.hurts_breaker} | {one.status} | {one.when} |" for one in codes]
    return "\n".join(("| code | status | when |", "|---|---|---|", *rows))


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "settings": lambda: reference.settings_table(provider_kinds()),
    "unavailable settings": reference.unavailable_list,
    "client error codes": lambda: codes_table(caller.CALLER_CODES),
    "provider error codes": lambda: codes_table(upstream.UPSTREAM_CODES),
    "capacity error codes": lambda: codes_table(capacity.CAPACITY_CODES),
    "metrics": families.markdown_table,
    "histogram buckets": families.bucket_list,
}
_BLOCK: Final = re.compile(r"(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def render(page: Path) -> str:
    """Return the text of a page with its generated blocks written anew; KeyError for an unknown block."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}", page.read_text())


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.md")):
        path.write_text(render(path))
    for copy in ("config/gateway.schema.json", "gateway/config/gateway.schema.json"):
        (Path(__file__).parents[1] / copy).write_text(schema_text(provider_kinds()))
