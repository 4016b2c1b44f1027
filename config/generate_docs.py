"""Write what is made from the configuration's schema: both copies of gateway.schema.json and the reference in the docs.

Run by `make docs`.
"""

from pathlib import Path

from gateway.config.reference import fill_in
from gateway.config.schema import schema_text
from gateway.providers import provider_kinds

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    kinds = provider_kinds()
    for folder in (ROOT / "config", ROOT / "gateway" / "config"):
        (folder / "gateway.schema.json").write_text(schema_text(kinds), encoding="utf-8")
    page = ROOT / "docs" / "configuration.md"
    page.write_text(fill_in(page.read_text(encoding="utf-8"), kinds), encoding="utf-8")


if __name__ == "__main__":
    main()
