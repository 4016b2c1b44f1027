"""The functions that a condition may call: an allow-list over CEL's standard library and its strings extension.

Left out on purpose: functions that make long strings of short ones (`replace`, `join`, `format`), functions that escape the
type checker (`dyn`, `type`), and functions of types that conditions do not have (timestamps, bytes, maps).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["method", "function", "macro"]


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `usage` is a complete condition as an example. A macro runs over a list and names its element."""

    name: str
    kind: Kind
    usage: str
    doc: str


FUNCTIONS = (
    Function("startsWith", "method", 'request.model.startsWith("gpt-")', "whether the string starts with the argument"),
    Function("endsWith", "method", 'request.model.endsWith("-mini")', "whether the string ends with the argument"),
    Function("contains", "method", 'headers["user-agent"].contains("python")', "whether the string contains the argument"),
    Function("matches", "method", 'headers["x-team"].matches("^(search|ads)$")', "whether a part of the string matches the RE2 expression, a literal; `^` and `$` anchor it to the ends"),
    Function("lowerAscii", "method", 'labels.plan.lowerAscii() == "paid"', "the string with A to Z in lower case"),
    Function("upperAscii", "method", 'labels.region.upperAscii() == "EU"', "the string with a to z in upper case"),
    Function("trim", "method", 'headers["x-team"].trim() != ""', "the string without white space at its ends"),
    Function("charAt", "method", 'request.model.charAt(0) == "o"', "the character at an index, from 0"),
    Function("indexOf", "method", 'request.model.indexOf("mini") >= 0', "the index of the first occurrence, or -1"),
    Function("lastIndexOf", "method", 'request.model.lastIndexOf("-") > 3', "the index of the last occurrence, or -1"),
    Function("substring", "method", 'request.model.substring(0, 3) == "gpt"', "the part from one index up to, but not including, another"),
    Function("split", "method", '"beta" in headers["x-groups"].split(",")', "the parts between separators, as a list"),
    Function("size", "method", "request.model.size() > 20", "the number of characters of a string, or of elements of a list"),
    Function("size", "function", "size(request.model) > 20", "the same, as a function"),
    Function("int", "function", 'int(labels.level) >= 3', "a string or decimal number as a whole number; decimals are cut off"),
    Function("double", "function", 'double(headers["x-risk"]) > 0.5', "a string as a number"),
    Function("string", "function", 'string(now.weekday) in labels.days.split(",")', "a number or truth value as a string"),
    Function("exists", "macro", '["gpt-", "o1", "o3"].exists(p, request.model.startsWith(p))', "whether the condition is true for at least one element"),
    Function("all", "macro", 'headers["x-groups"].split(",").all(g, g != "blocked")', "whether the condition is true for every element"),
    Function("exists_one", "macro", 'headers["x-groups"].split(",").exists_one(g, g == "beta")', "whether the condition is true for exactly one element"),
)  # fmt: skip

METHODS: Mapping[str, Function] = {entry.name: entry for entry in FUNCTIONS if entry.kind != "function"}
GLOBALS: Mapping[str, Function] = {entry.name: entry for entry in FUNCTIONS if entry.kind == "function"}
