"""From files to a checked `Spec`: the steps, in order.

gather (files to one tree of nodes) → read (nodes to values, by schema) → check the schema → check the semantics, section by
section → read further files that are named (certificates) → read the sections. A step that finds errors breaks only the
values concerned, so that one call reports all of them.

Pure and blocking: no event loop, nothing printed, nothing kept. Callers on a loop run it in a thread.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config.compose import MAX_BYTES
from gateway.config.files import absolute, read_bounded
from gateway.config.language import INCLUDABLE, SECTIONS
from gateway.config.names import Names
from gateway.config.read import Reader
from gateway.config.schema import build_schema
from gateway.config.schema_errors import check_schema
from gateway.config.secrets import References
from gateway.config.section import FilesContext, ReadContext
from gateway.config.settings import SETTINGS
from gateway.config.sources import Sources, gather, known_models
from gateway.config.spec import Spec
from gateway.core.kinds import ProviderKind
from gateway.core.problem import ConfigError, Place, Problem


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that may be used. `files`: absolute, the main one first, then included ones, those of `${file:…}` and
    certificates with their keys."""

    spec: Spec
    warnings: tuple[Problem, ...]
    files: tuple[Path, ...]


def load(path: Path, *, env: Mapping[str, str], kinds: Mapping[str, ProviderKind]) -> Loaded:
    """Read and check the configuration at `path`; raises `ConfigError` with every error."""
    data, fault = read_bounded(path, MAX_BYTES)
    if data is None:
        hint = "; `gateway init` writes one to begin with" if "no such file" in fault else ""
        raise ConfigError([Problem(Place(str(path)), "", fault + hint)])
    return load_text(data, path, env=env, kinds=kinds)


def load_text(data: bytes, path: Path, *, env: Mapping[str, str], kinds: Mapping[str, ProviderKind]) -> Loaded:
    """Check `data` as if it stood in the file `path`; other files that it names are read. Raises `ConfigError`."""
    main = absolute(path)
    sources = gather(data, str(path), main)
    schema = build_schema(kinds)
    references = References(env)
    reader = Reader(sources.root, schema, references)
    check_schema(reader, schema, kinds)
    _check_semantics(reader, kinds, sources)
    named = _read_files(reader, FilesContext(main.parent, kinds, env))
    problems = {*sources.problems, *reader.problems.values()}
    if problems:
        raise ConfigError(problems)
    files = {**sources.files, **references.files, **named}
    context = ReadContext(reader.values, sources.root, main.parent, kinds)
    fields = {name: value for section in SECTIONS for name, value in section.read(context).items()}
    spec = Spec(**fields, digest=_digest(files))
    return Loaded(spec, tuple(sorted(set(reader.warnings))), tuple(files))


def _check_semantics(reader: Reader, kinds: Mapping[str, ProviderKind], sources: Sources) -> None:
    """Run the checks of all sections, then those of all settings: what only the whole can show.

    Where a file could not be read, a name that is missing may be in it.
    """
    incomplete = frozenset() if sources.is_whole else frozenset(INCLUDABLE)
    priced = frozenset() if sources.known_models else known_models()
    names = Names(reader.values, kinds, incomplete, priced)
    of_sections = [check for section in SECTIONS for check in section.checks]
    for check in (*of_sections, *(check for setting in SETTINGS for check in setting.checks)):
        check(reader, names)


def _read_files(reader: Reader, context: FilesContext) -> dict[Path, bytes]:
    return {path: data for section in SECTIONS for path, data in section.files(reader, context).items()}


def _digest(files: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for data in files.values():
        digest.update(f"{len(data)}\n".encode() + data)
    return digest.hexdigest()
