"""What a condition may call: an allow-list over CEL's standard library and its strings extension.

Left out on purpose: whatever makes long strings of short ones (`replace`, `join`, `format`), escapes the type
checker (`dyn`, `type`), or has nothing to work on here (timestamps, bytes, maps).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["method", "function", "macro"]


@dataclass(frozen=True, slots=True)
class Function:
    """`usage` is a whole condition that shows it. Macros run over a list and name its element."""

    name: str
    kind: Kind
    usage: str
    doc: str


FUNCTIONS = (
    Function("startsWith", "method", 'request.model.startsWith("gpt-")', "whether the string begins so"),
    Function("endsWith", "method", 'request.model.endsWith("-mini")', "whether the string ends so"),
    Function("contains", "method", 'headers["user-agent"].contains("python")', "whether the string holds that"),
    Function("matches", "method", 'headers["x-team"].matches("^(search|ads)$")', "whether a part of the string fits the RE2 expression, which is written out; `^` and `$` tie it to the ends"),
    Function("lowerAscii", "method", 'labels.plan.lowerAscii() == "paid"', "the string with A to Z in lower case"),
    Function("upperAscii", "method", 'labels.region.upperAscii() == "EU"', "the string with a to z in upper case"),
    Function("trim", "method", 'headers["x-team"].trim() != ""', "the string without white space at its ends"),
    Function("charAt", "method", 'request.model.charAt(0) == "o"', "the character at a place, from 0"),
    Function("indexOf", "method", 'request.model.indexOf("mini") >= 0', "the first place where that stands, else -1"),
    Function("lastIndexOf", "method", 'request.model.lastIndexOf("-") > 3', "the last place where that stands, else -1"),
    Function("substring", "method", 'request.model.substring(0, 3) == "gpt"', "the string from one place to before another"),
    Function("split", "method", '"beta" in headers["x-groups"].split(",")', "the parts between separators, as a list"),
    Function("size", "method", "request.model.size() > 20", "the number of characters of a string, or of parts of a list"),
    Function("size", "function", "size(request.model) > 20", "the same, written around its text"),
    Function("int", "function", 'int(labels.level) >= 3', "the whole number that a string spells; of a decimal number, what stands before the point"),
    Function("double", "function", 'double(headers["x-risk"]) > 0.5', "the number that a string spells"),
    Function("string", "function", 'string(now.weekday) in labels.days.split(",")', "a number or truth value as a string"),
    Function("exists", "macro", '["gpt-", "o1", "o3"].exists(p, request.model.startsWith(p))', "whether one element makes it true"),
    Function("all", "macro", 'headers["x-groups"].split(",").all(g, g != "blocked")', "whether every element makes it true"),
    Function("exists_one", "macro", 'headers["x-groups"].split(",").exists_one(g, g == "beta")', "whether exactly one element makes it true"),
)  # fmt: skip

METHODS: Mapping[str, Function] = {entry.name: entry for entry in FUNCTIONS if entry.kind != "function"}
GLOBALS: Mapping[str, Function] = {entry.name: entry for entry in FUNCTIONS if entry.kind == "function"}
