"""`let`: named conditions, and the check of every condition of the file."""

from typing import Any, Final

from gateway.config.definitions import named, ref
from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import Section


def _check(reader: Reader, names: Names) -> None:
    """Type-check the named conditions and every `when`, which may use them."""
    # Imported when a file is checked: processes that only need the dataclasses do not load CEL.
    from gateway.config.conditions import check_conditions

    if "let" in names.broken:
        return
    whens: list[tuple[Trail, str]] = [
        (("routes", i, "when"), one["when"]) for i, one in names.routes if isinstance(one.get("when"), str)
    ]
    check_conditions(reader, names.lets, whens)
    used = _used(names.lets, [when for _, when in whens])
    for name in names.lets:
        if name not in used:
            reader.warn(("let", name), "no `when` uses this condition")


def _used(lets: dict[str, Any], whens: list[str]) -> set[str]:
    """Return the named conditions that some `when` uses, be it by way of others."""
    from gateway.dsl.tokens import names_in

    used: set[str] = set()
    rest = whens
    while rest:
        found = {name for source in rest for name in names_in(source) if name in lets} - used
        used |= found
        rest = [lets[name] for name in found if isinstance(lets[name], str)]
    return used


LET: Final = Section(
    key="let",
    schema=lambda context: named(
        "identifier", ref("condition", "A named condition."), "Named conditions, to use in `when`."
    ),
    read=lambda context: {"lets": dict(context.values.get("let", {}))},
    checks=(_check,),
    is_includable=True,
)
