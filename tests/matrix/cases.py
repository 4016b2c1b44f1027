"""The cells: clients, providers, and what is tried with each pair."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Backend = Literal["simulator", "llama", "katan"]


@dataclass(frozen=True)
class Provider:
    """A provider as the gateway knows it. `speaks`: what it is asked in; the first is what the rest is translated to."""

    id: str
    title: str
    backend: Backend
    speaks: tuple[str, ...]
    number: int = 0  # the simulator's seed: models are told apart by it

    def model(self, behaviour: str = "") -> str:
        """Give the name of a model at the gateway; only the simulator's behave."""
        if self.backend != "simulator":
            return self.id
        return f"sim-seed{self.number}" + (f"-{behaviour}" if behaviour else "")


PROVIDERS: Final = (
    Provider("sim-chat", "simulator, chat", "simulator", ("chat",), 1),
    Provider("sim-messages", "simulator, messages", "simulator", ("messages",), 2),
    Provider("sim-responses", "simulator, responses", "simulator", ("responses",), 3),
    Provider("sim-all", "simulator, all four", "simulator", ("chat", "messages", "responses", "completions"), 4),
    Provider("llama-embedded", "embedded model, chat", "llama", ("chat",)),
    Provider("llama-openai", "llama.cpp, chat, responses, completions", "llama", ("chat", "responses", "completions")),
    Provider("llama-anthropic", "llama.cpp, messages", "llama", ("messages",)),
    Provider("katan-openai", "llm-katan, chat", "katan", ("chat",)),
    Provider("katan-anthropic", "llm-katan, messages", "katan", ("messages",)),
)

CLIENTS: Final = (
    ("openai (Python)", "chat"),
    ("openai (JavaScript)", "chat"),
    ("anthropic (Python)", "messages"),
    ("@anthropic-ai/sdk (JavaScript)", "messages"),
    ("openai (Python)", "responses"),
    ("openai (JavaScript)", "responses"),
    ("openai (Python)", "completions"),
    ("openai (JavaScript)", "completions"),
)
"""Packages, and the dialects that they are tried in."""

CAPABILITIES: Final = (
    "chat",
    "stream",
    "async",
    "tools",
    "structured",
    "images",
    "errors",
    "timeouts",
    "cancellation",
)

_ABSENT: Final = {"completions": {"tools", "structured", "images"}}  # from the dialect itself
_UNSEEN: Final = {"katan": {"cancellation"}}  # its answers are over before anybody can leave


@dataclass(frozen=True)
class Cell:
    """One thing to try. `client` is a package's name."""

    client: str
    dialect: str
    provider: Provider
    capability: str

    @property
    def id(self) -> str:
        return f"{self.client} {self.dialect} | {self.provider.id} | {self.capability}"


def is_tried(dialect: str, provider: Provider, capability: str) -> bool:
    """Tell whether there is such a thing at all."""
    return capability not in _ABSENT.get(dialect, ()) and capability not in _UNSEEN.get(provider.backend, ())


def cells() -> Iterator[Cell]:
    """Give every cell that is tried."""
    for client, dialect in CLIENTS:
        for provider in PROVIDERS:
            for capability in CAPABILITIES:
                if is_tried(dialect, provider, capability):
                    yield Cell(client, dialect, provider, capability)
