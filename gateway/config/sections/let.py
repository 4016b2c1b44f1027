"""`let`: named conditions, and the check of every condition of the file."""

from typing import Final

from gateway.config.conditions import check_conditions
from gateway.config.definitions import named, ref
from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import Section


def _check(reader: Reader, names: Names) -> None:
    """Type-check the named conditions and every `when`, which may use them."""
    if "let" in names.broken:
        return
    whens: list[tuple[Trail, str]] = [
        (("routes", i, "when"), one["when"]) for i, one in names.routes if isinstance(one.get("when"), str)
    ]
    check_conditions(reader, names.lets, whens)


LET: Final = Section(
    key="let",
    schema=lambda context: named(
        "identifier", ref("condition", "A named condition."), "Named conditions, to use in `when`."
    ),
    read=lambda context: {"lets": dict(context.values.get("let", {}))},
    checks=(_check,),
    is_includable=True,
)
