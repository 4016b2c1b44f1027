"""From files to a checked `Spec`: the steps, in order.

gather (files to one tree of nodes) → read (nodes to values, by schema) → judge (JSON Schema) → validate (what only the
whole can tell) → assemble. A step that finds faults breaks only the values concerned, so that one call tells of all faults.

Pure and blocking: no event loop, nothing printed, nothing kept. Callers on a loop run it in a thread.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config.assemble import assemble
from gateway.config.files import absolute, read_bounded
from gateway.config.listeners import take_certificates
from gateway.config.nodes import MAX_BYTES, compose
from gateway.config.nodes import Mapping as MappingNode
from gateway.config.outbound import take_outbound
from gateway.config.read import Reader
from gateway.config.schema import build_schema
from gateway.config.schema_errors import check_schema
from gateway.config.secrets import References
from gateway.config.semantic_checks import check_semantics
from gateway.config.sources import gather, read_builtin
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
    """Read and check the configuration at `path`; raises `ConfigError` with every fault."""
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
    check_semantics(reader, kinds, sources.is_whole, frozenset() if sources.known_models else _known_models())
    certificates = take_certificates(reader, main.parent) | take_outbound(reader, main.parent, kinds, env)
    problems = {*sources.problems, *reader.problems.values()}
    if problems:
        raise ConfigError(problems)
    files = {**sources.files, **references.files, **certificates}
    spec = assemble(reader.values, sources.root, main.parent, kinds, _digest(files))
    return Loaded(spec, tuple(sorted(set(reader.warnings))), tuple(files))


def _known_models() -> frozenset[str]:
    """Give the models that `builtin:prices` would know."""
    root, _ = compose(read_builtin("prices"), "builtin:prices")
    models = root.entries["models"].value if isinstance(root, MappingNode) else None
    return frozenset(models.entries) if isinstance(models, MappingNode) else frozenset()


def _digest(files: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for data in files.values():
        digest.update(f"{len(data)}\n".encode() + data)
    return digest.hexdigest()
