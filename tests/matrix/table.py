"""`docs/compatibility.md`: what was found, as tables between two marks; the words around them are written by hand."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.matrix.cases import CAPABILITIES, CLIENTS, PROVIDERS, Cell, cells

PAGE: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN: Final = "<!-- The tables are written by the tests: `WRITE_COMPATIBILITY=1 make test ARGS=tests/matrix`. -->\n"
END: Final = "<!-- End of the tables. -->\n"
DIALECTS: Final = {
    "chat": "Chat completions",
    "messages": "Messages",
    "responses": "Responses",
    "completions": "Legacy completions",
}
WORKS: Final = "yes"
ABSENT: Final = "–"
IS_WRITTEN: Final = bool(os.environ.get("WRITE_COMPATIBILITY"))
_DIRECT: Final = re.compile(r"no \[(\d+)\]")

Found = Mapping[Cell, str]
"""`WORKS`, or why the same fails without the gateway too."""


def render(found: Found) -> str:
    """Give the tables, and the reasons that they number."""
    reasons = list(dict.fromkeys(why for why in found.values() if why != WORKS))
    parts = []
    for dialect, title in DIALECTS.items():
        rows = [
            [
                f"`{client}`" if number == 0 else "",
                provider.title,
                *_marks(client, dialect, provider.id, found, reasons),
            ]
            for client, spoken in CLIENTS
            if spoken == dialect
            for number, provider in enumerate(PROVIDERS)
        ]
        head = ["client", "provider", *CAPABILITIES]
        lines = [head, ["---"] * len(head), *rows]
        parts += [f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""]
    parts += ["## Why not", "", *(f"{number}. {why}" for number, why in enumerate(reasons, 1)), ""]
    return "\n".join(parts)


def read(page: str) -> dict[Cell, str]:
    """Give what a page says of every cell that is tried."""
    tables = page.partition(BEGIN)[2].partition(END)[0]
    reasons = dict(re.findall(r"^(\d+)\. (.+)$", tables, re.MULTILINE))
    marks = dict(_read_marks(tables))
    found = {}
    for cell in cells():
        mark = marks.get((cell.client, cell.dialect, cell.provider.title, cell.capability), "missing")
        numbered = _DIRECT.fullmatch(mark)
        found[cell] = reasons.get(numbered[1], "missing") if numbered else mark
    return found


def write(found: Found) -> None:
    """Put the tables into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render(found)}\n{END}{rest.partition(END)[2]}")


def _marks(client: str, dialect: str, provider: str, found: Found, reasons: list[str]) -> Iterator[str]:
    of_row = {
        cell.capability: why
        for cell, why in found.items()
        if (cell.client, cell.dialect, cell.provider.id) == (client, dialect, provider)
    }
    for capability in CAPABILITIES:
        why = of_row.get(capability, ABSENT)
        yield why if why in (WORKS, ABSENT) else f"no [{reasons.index(why) + 1}]"


def _read_marks(tables: str) -> Iterator[tuple[tuple[str, str, str, str], str]]:
    dialects = {title: dialect for dialect, title in DIALECTS.items()}
    dialect = client = ""
    for line in tables.splitlines():
        if line.startswith("## "):
            dialect = dialects.get(line[3:], "")
        if not line.startswith("| ") or line.startswith(("| client", "| ---")):
            continue
        named, provider, *marks = (field.strip() for field in line.split("|")[1:-1])
        client = named.strip("`") or client
        for capability, mark in zip(CAPABILITIES, marks, strict=True):
            yield (client, dialect, provider, capability), mark
