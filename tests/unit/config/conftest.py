"""What the tests of the configuration share."""

from pathlib import Path

import pytest

from gateway.config.load import Loaded, load_text
from gateway.core.problem import ConfigError
from gateway.providers import provider_kinds

SECTIONS = {
    "version": "version: 1",
    "providers": "providers: {local: {kind: llamacpp}, web: {kind: openai, key: '${KEY:-}'}, sim: {kind: simulator}}",
    "models": "models: {m: {provider: local, price: {input: 0, output: 0}}, "
    "far: {provider: web, price: {input: 1, output: 2}}}",
    "routes": "routes: [{name: r, match: [auto], to: m}]",
}
"""A sound configuration, a section a line; `far` is a model whose provider is off."""

ENV = {"EMPTY": "", "SECRET": "hush-hush-7", "SOME_KEY": "a-key"}


def config(**sections: str) -> str:
    """Give the text of a file: the sections above, some put in place of theirs, others behind them."""
    return "\n".join({**SECTIONS, **sections}.values()) + "\n"


class Files:
    """A directory of configuration files."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "gateway.yaml"

    def write(self, name: str, text: str) -> None:
        """Put a file beside the main one."""
        (self.path.parent / name).write_text(text)

    def load(self, text: str | bytes, env: dict[str, str] | None = None) -> Loaded:
        """Check `text` as the main file."""
        data = text.encode() if isinstance(text, str) else text
        return load_text(data, self.path, env=ENV if env is None else env, kinds=provider_kinds())

    def errors(self, text: str | bytes, env: dict[str, str] | None = None) -> list[str]:
        """Give what is wrong with `text`, without the path of the main file."""
        try:
            self.load(text, env)
        except ConfigError as error:
            lines = [str(problem) for problem in error.problems]
            return [one.replace(f"{self.path}:", "").replace(f"{self.path.parent}/", "") for one in lines]
        return []


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
