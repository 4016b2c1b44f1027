"""Sets of names, written as names and globs."""

import re
from collections.abc import Iterable
from fnmatch import translate


class NamePattern:
    """A list of names and globs (`gpt-*`), compiled to a set and one regular expression."""

    __slots__ = ("_globs", "exact")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self.exact = frozenset(name for name in patterns if "*" not in name)
        globs = [translate(_only_stars(name)) for name in patterns if "*" in name]
        self._globs = re.compile("|".join(globs)) if globs else None

    def covers(self, name: str) -> bool:
        return name in self.exact or (self._globs is not None and self._globs.match(name) is not None)


def _only_stars(glob: str) -> str:
    """Escape `?` and `[`: a star is the only wildcard of the configuration."""
    return glob.replace("[", "[[]").replace("?", "[?]")
