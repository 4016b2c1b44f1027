"""`${NAME}`, `${NAME:-default}` and `${file:path}` inside scalars, and keeping keys out of messages.

`$${` stands for a literal `${`. `${NAME}` must be set and not empty, `${NAME:-}` may be empty. A path of `${file:…}` is
relative to the file that says it; one line break at the end of such a file is not part of the secret.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config.files import read_bounded

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inner>[^}]*)(?P<closed>\}?)")
_NAME = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)

# What the well-known issuers' keys begin with.
_KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)-[A-Za-z0-9_-]{12,}|(?:ghp|gho|github_pat|hf|gsk|xox[abp]|xai)[_-][A-Za-z0-9_-]{12,}"
    r"|AIza[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{20,})"
)

MAX_SECRET_BYTES = 64 * 1024


class ReferenceProblem(ValueError):
    """A `${…}` that can't be put in; the message never holds a value."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text with its references put in. `names`: what it referred to, as in `${OPENAI_API_KEY}`, without defaults."""

    text: str
    names: tuple[str, ...]


class References:
    """Puts values in for references and remembers which files it read."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.files: dict[Path, bytes] = {}

    def expand(self, text: str, directory: Path) -> Expanded:
        """Put every reference in; raises `ReferenceProblem`."""
        if "${" not in text:
            return Expanded(text, ())
        names = []

        def put_in(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            shown, value = self._value(found, directory)
            names.append(shown)
            return value

        return Expanded(_REFERENCE.sub(put_in, text), tuple(names))

    def _value(self, found: re.Match[str], directory: Path) -> tuple[str, str]:
        inner = found["inner"]
        if found["closed"] and inner.startswith("file:"):
            return "${file:…}", self._file(directory / inner.removeprefix("file:"))
        parts = _NAME.fullmatch(inner)
        if not found["closed"] or parts is None:
            raise ReferenceProblem(
                "a ${ must be ${NAME}, ${NAME:-default} or ${file:path}; $${ stands for a literal ${"
            )
        name, default = parts["name"], parts["default"]
        value = self._env.get(name, "") or default
        if value is None:
            state = "empty" if name in self._env else "not set"
            raise ReferenceProblem(
                f"the environment variable {name} is {state}; set it, or write ${{{name}:-}} if it may be empty"
            )
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ReferenceProblem(f"the environment variable {name} is not UTF-8 text") from None
        return f"${{{name}}}", value

    def _file(self, path: Path) -> str:
        data, fault = read_bounded(path, MAX_SECRET_BYTES)
        if data is None:
            raise ReferenceProblem(f"${{file:…}}: {fault}")
        self.files[path] = data
        try:
            return re.sub(r"\r?\n\Z", "", data.decode())
        except UnicodeDecodeError:
            raise ReferenceProblem("${file:…}: the file is not UTF-8 text") from None


def referred(text: str) -> str:
    """Name the references of a text for a message, as in `${OPENAI_API_KEY}`; empty where it has none."""
    names = []
    for found in _REFERENCE.finditer(text):
        parts = _NAME.fullmatch(found["inner"] or "")
        if found[0] != "$${":
            names.append(f"${{{parts['name']}}}" if parts is not None else "${…}")
    return " and ".join(names)


def holds_key(text: str) -> bool:
    """Whether a key of a known issuer's make stands in the text."""
    return _KEY_LIKE.search(text) is not None


def looks_like_key(text: str) -> bool:
    """Whether a text, written where a key is meant, seems to be a real one rather than a word."""
    if holds_key(text):
        return True
    if len(text) < 20 or " " in text:
        return False
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
    return bits > 3.0 and any(c.isdigit() for c in text)


def hide_keys(text: str) -> str:
    """Return the text with anything that looks like an issuer's key replaced."""
    return _KEY_LIKE.sub("***", text)
