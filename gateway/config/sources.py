"""All files of a configuration as one tree.

Sections of included files are put beside those of the main file; a name stands once over all of them. Models named as
in `builtin:prices` take from there each field that they do not give themselves (`price` as a whole).
"""

from collections.abc import Mapping as PathMap
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from gateway.config.compose import MAX_BYTES, compose
from gateway.config.files import absolute, read_bounded
from gateway.config.language import INCLUDABLE
from gateway.config.messages import did_you_mean, path_text
from gateway.config.nodes import Entry, Mapping, Node, Scalar, Sequence, Trail, name
from gateway.config.unavailable import refused_key
from gateway.core.problem import ConfigError, Place, Problem

BUILTIN = ("prices",)
MAX_FILES = 100


NO_MAPPING = 'the file must be a mapping ("key: value" lines)'


@dataclass(slots=True, frozen=True)
class Sources:
    """`root` is the merged tree. `is_whole`: every file could be read, so a name that is not there is nowhere."""

    root: Mapping
    files: PathMap[Path, bytes]  # own files in the order of reading
    problems: list[Problem]
    known_models: Mapping | None  # of builtin:prices
    is_whole: bool


def gather(data: bytes, label: str, path: Path) -> Sources:
    """Take the main file's bytes and every file that it includes; `label` is how messages call it.

    Raises `ConfigError` where the main file has no tree.
    """
    root, problems = compose(data, label)
    if root is None or (isinstance(root, Scalar) and root.is_plain and root.text in ("", "~", "null")):
        raise ConfigError(
            [Problem(Place(label, 1, 1), "", "the file is empty; `gateway init` writes one to begin with")]
        )
    if not isinstance(root, Mapping):
        raise ConfigError([Problem(root.place, "", NO_MAPPING), *problems])
    gatherer = _Gatherer(path, data, problems)
    gatherer.follow(root, label, (path,))
    return gatherer.joined(root)


class _Gatherer:
    def __init__(self, path: Path, data: bytes, problems: list[Problem]) -> None:
        self._files = {path: data}
        self._problems = problems
        self._included: list[Mapping] = []  # what is included stands before what includes it
        self._known: Mapping | None = None
        self._is_whole = True

    def joined(self, main: Mapping) -> Sources:
        """Give everything as one tree."""
        merged: dict[str, Entry] = {}
        for root in (*self._included, main):
            for section, entry in root.entries.items():
                there = merged.get(section)
                merged[section] = (
                    entry if there is None else Entry(entry.key, self._both(section, there.value, entry.value))
                )
        if self._known is not None:
            _put_in_known(merged, self._known)
        return Sources(Mapping(main.place, merged), self._files, self._problems, self._known, self._is_whole)

    def follow(self, root: Mapping, label: str, chain: tuple[Path, ...]) -> None:
        """Take the files that `root`, read from the last of `chain`, includes."""
        entry = root.entries.get("include")
        if entry is None:
            return
        items = entry.value.items if isinstance(entry.value, Sequence) else [entry.value]
        for index, item in enumerate(items):
            trail: Trail = ("include", index)
            if not isinstance(item, Scalar) or item.text == "" or "\0" in item.text:
                self._complain(item, trail, "must be the name of a file, or builtin:prices")
            elif item.text.startswith("builtin:"):
                self._builtin(item, trail)
            else:
                self._own(item, trail, label, chain)

    def _builtin(self, item: Scalar, trail: Trail) -> None:
        wanted = item.text.removeprefix("builtin:")
        if wanted not in BUILTIN:
            known = [f"builtin:{one}" for one in BUILTIN]
            self._complain(item, trail, f"there is no {name(item.text)}{did_you_mean(item.text, known)}")
            return
        self._known = _builtin_models()

    def _own(self, item: Scalar, trail: Trail, label: str, chain: tuple[Path, ...]) -> None:
        path = absolute(chain[-1].parent / item.text)
        if path in chain:
            loop = " → ".join(one.name for one in (*chain[chain.index(path) :], path))
            self._complain(item, trail, f"includes itself: {loop}")
        elif path in self._files:
            return
        elif len(self._files) >= MAX_FILES:
            self._complain(item, trail, f"more than {MAX_FILES} files")
        else:
            data, fault = read_bounded(path, MAX_BYTES)
            if data is None:
                self._complain(item, trail, f"can't include {name(item.text)}: {fault}")
            else:
                self._take(data, str(Path(label).parent / item.text), (*chain, path))

    def _take(self, data: bytes, label: str, chain: tuple[Path, ...]) -> None:
        self._files[chain[-1]] = data
        try:
            root, problems = compose(data, label)
        except ConfigError as error:
            self._is_whole = False
            self._problems += error.problems
            return
        self._problems += problems
        if isinstance(root, Mapping):
            self.follow(root, label, chain)
            self._included.append(self._allowed(root))
        elif root is not None and not (isinstance(root, Scalar) and root.text == ""):
            self._problems.append(Problem(root.place, "", NO_MAPPING))

    def _allowed(self, root: Mapping) -> Mapping:
        entries = {}
        for section, entry in root.entries.items():
            if section not in INCLUDABLE:
                known = ", ".join(INCLUDABLE[1:])
                said = f"may not stand in an included file, which may hold {known}; put it into the main file"
                problem = Problem(entry.key.place, path_text((section,)), refused_key((section,)) or said)
                self._problems.append(problem)
            elif section not in ("version", "include"):
                entries[section] = entry
        return Mapping(root.place, entries)

    def _both(self, section: str, first: Node, second: Node) -> Node:
        """Put the names of one file's section beside those of another's."""
        if not isinstance(first, Mapping) or not isinstance(second, Mapping):
            return second if isinstance(first, Mapping) else first  # told by the schema
        entries = dict(first.entries)
        for key, entry in second.entries.items():
            if (there := entries.setdefault(key, entry)) is not entry:
                said = f"is defined twice; first at {there.key.place}"
                self._problems.append(Problem(entry.key.place, path_text((section, key)), said))
        return Mapping(second.place, entries)

    def _complain(self, item: Node, trail: Trail, message: str) -> None:
        self._is_whole = False
        self._problems.append(Problem(item.place, path_text(trail), message))


def read_builtin(wanted: str) -> bytes:
    """Give a file that the package ships."""
    return package_files("gateway.config").joinpath("builtin", f"{wanted}.yaml").read_bytes()


def known_models() -> frozenset[str]:
    """Return the names of the models that `builtin:prices` has."""
    return frozenset(_builtin_models().entries)


def _builtin_models() -> Mapping:
    root, _ = compose(read_builtin("prices"), "builtin:prices")
    models = root.entries["models"].value if isinstance(root, Mapping) else None
    assert isinstance(models, Mapping)  # shipped with the package
    return models


def _put_in_known(sections: dict[str, Entry], known: Mapping) -> None:
    """Give own models the fields that only the builtin entry of their name has."""
    section = sections.get("models")
    if section is None or not isinstance(section.value, Mapping):
        return
    models = dict(section.value.entries)
    for key, entry in models.items():
        builtin = known.entries.get(key)
        if builtin is not None and isinstance(entry.value, Mapping) and isinstance(builtin.value, Mapping):
            models[key] = Entry(entry.key, Mapping(entry.value.place, {**builtin.value.entries, **entry.value.entries}))
    sections["models"] = Entry(section.key, Mapping(section.value.place, models))
