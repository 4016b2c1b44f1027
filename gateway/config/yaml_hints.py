"""Advice for conditions that YAML would cut or misread because they stand without quotes.

A condition such as `a ? b : c`, `!request.stream` or `headers["x"] == "#1"` means something to YAML. What is done here
reads one line of source again, as its writer meant it, only to print the quoted form.
"""

import re

from gateway.config.secrets import hide_keys

_KEY = re.compile(r"(?:^|(?<=[\s{,\-]))(?P<key>[A-Za-z_][A-Za-z0-9_]*):[ \t]+(?=\S)")
_OPERATOR = re.compile(r"==|!=|&&|\|\||[<>]=?| \? |^!(?:request|headers|labels|tenant|now)\b|\bin\b")
_FLOW_END = re.compile(r",\s*[A-Za-z_]+:\s|\}\s*(?:#.*)?$")
_QUOTED = re.compile(r"(?:'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\")\s*(?:[,}\]#]|$)")
_TROUBLE = re.compile(r": | #|^[!\"'\[{*&@%`>|]")
_FLOW_TROUBLE = re.compile(r"[\[\]{},]")


def advise_quotes(text: str, index: int, opened: int | None = None) -> tuple[str, int] | None:
    """Say how to quote the condition over which YAML stumbled at `index` of `text`, and where it went wrong.

    None where there is no condition in that line. `opened`: where the braces begin that YAML was reading; a `#` within
    them shows itself only behind its line.
    """
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    found = _condition_in(_line_at(text, start))
    if found is None and opened is not None:
        for line in re.finditer(r"[^\r\n]+", text[max(opened, start - 4096) : start]):
            if (above := _condition_in(line[0])) is not None and " #" in above[1]:
                found, index = above, max(opened, start - 4096) + line.start() + line[0].index(" #") + 1
    if found is None:
        return None
    key, condition = found
    return f"the condition must be quoted: {key}: {quoted(condition)}", index


def advise_cut(source: str, start: int, end: int) -> str | None:
    """Say how to quote a plain condition (`source[start:end]`) that a `#` or `,` ends in its line; None where none does."""
    condition = source[start:end]
    if (comment := re.match(r"[ \t]+(#[^\r\n]*)", source[end:])) is not None:
        if _has_open_quote(condition):
            return f'the condition is cut at " #"; quote it: {quoted(_without_flow_end(condition + comment[0]))}'
        return f'a condition without quotes ends at " #"; quote it: {quoted(condition)} {hide_keys(comment[1])}'
    if source[end : end + 1] == "," and condition.count("(") + condition.count("[") > condition.count(
        ")"
    ) + condition.count("]"):
        line = _line_at(source, start)
        return f'the condition is cut at ","; quote it: {quoted(_without_flow_end(line))}'
    return None


def quoted(condition: str) -> str:
    """Return a condition as a single-quoted YAML text, any key in it hidden."""
    return "'" + hide_keys(condition.strip()).replace("'", "''") + "'"


def _condition_in(line: str) -> tuple[str, str] | None:
    """Return key and text of the first condition in `line` that YAML can't take without quotes."""
    for found in _KEY.finditer(line):
        key, value = found["key"], line[found.end() :]
        is_flow = "{" in line[: found.start()]
        if is_flow:
            value = _without_flow_end(value)
        if (key != "when" and not _OPERATOR.search(value)) or _QUOTED.match(value):
            continue
        if _TROUBLE.search(value) or (is_flow and _FLOW_TROUBLE.search(value)):
            return key, value.strip()
    return None


def _without_flow_end(text: str) -> str:
    cut = _FLOW_END.search(text)
    return text[: cut.start()] if cut else text


def _has_open_quote(condition: str) -> bool:
    return condition.count('"') % 2 == 1 or condition.count("'") % 2 == 1


def _line_at(text: str, start: int) -> str:
    return re.match(r"[^\r\n]*", text[start:])[0]  # type: ignore[index]  # matches always
