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


def advise_early_end(text: str, index: int) -> tuple[str, int] | None:
    """Say how to quote a condition that holds the quotes it stands in, in the line of `index`, and where its quotes end."""
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    line = _line_at(text, start)
    for found in _KEY.finditer(line):
        quote, rest = line[found.end()], line[found.end() :]
        if quote not in "\"'" or _QUOTED.match(rest):
            continue
        value = (_without_flow_end(rest) if "{" in line[: found.start()] else rest).rstrip()
        end = rest.find(quote, 1)
        if end < 0 or len(value) < 3 or value[-1] != quote or not (found["key"] == "when" or _OPERATOR.search(value)):
            continue
        word = re.match(r"[\w.-]*", rest[end + 1 :])[0] or "here"  # type: ignore[index]  # matches always
        condition = re.sub(r"'([^'\"]*)'", r'"\1"', value[1:-1])
        how = "single quotes outside, " if quote == '"' else ""
        message = (
            f"the quote ends at {hide_keys(word)}; use {how}double quotes inside: {found['key']}: {quoted(condition)}"
        )
        return message, start + found.end() + end
    return None


def advise_space(text: str, index: int) -> tuple[str, int] | None:
    """Name the line at `index`, or the last one before it, in which no space follows the colon, as in `version:1`."""
    end = index
    for _ in range(2):
        start = max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1
        if (found := NO_SPACE.match(_line_at(text, start))) is not None:
            return no_space(found), start + found.start("key")
        end = max(0, start - 1)
    return None


NO_SPACE = re.compile(r"[ \t]*(?:- +)?(?P<key>[A-Za-z_][A-Za-z0-9_]*):(?P<value>(?!//)[^\s:][^\r\n]*)$")
"""A line such as `version:1`, which is a text to YAML."""


def no_space(found: re.Match[str]) -> str:
    """Word what `NO_SPACE` has found."""
    return f"a space is missing after the colon: {found['key']}: {hide_keys(found['value'])}"


_BLANK = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000]")
_BETWEEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"|(?:^|(?<=\s))#[^\r\n]*", re.MULTILINE)


def odd_blank(text: str) -> re.Match[str] | None:
    """Find a blank that is no space to YAML, such as the one that word processors put in; None where there is none."""
    return _BLANK.search(text)


def blank_message(blank: str) -> str:
    """Word an odd blank."""
    kind = "a non-breaking space" if blank == "\u00a0" else "a blank that is no plain space"
    return f"{kind} (U+{ord(blank):04X}) stands here; type a plain space"


def advise_blank(text: str, began: int, index: int) -> tuple[str, int] | None:
    """Name the last odd blank outside quotes and comments from the line of `began` to that of `index`."""
    start = max(text.rfind("\n", 0, max(0, began)), text.rfind("\r", 0, max(0, began))) + 1
    part = text[max(start, index - 4096) : index] + _line_at(text, index)
    masked = _BETWEEN.sub(lambda found: "x" * len(found[0]), part)
    found = list(_BLANK.finditer(masked))
    return (blank_message(found[-1][0]), max(start, index - 4096) + found[-1].start()) if found else None
