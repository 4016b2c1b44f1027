"""All servers that the gateway runs itself, one for each provider of a kind that needs one.

A reload starts new children beside the running ones (`plan`), then retires those that the configuration no longer names
(`keep`): requests that run on the old configuration have `drain.deadline` to finish before its children end. A provider
whose settings changed gets a new child at a new address. How one child runs stands in `managed_server.py`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.config.spec import ProviderSpec, Spec
from gateway.providers import provider_kinds
from gateway.runtime.managed_server import ChildContext, ManagedServer, Recipe
from gateway.runtime.messages import ChildCondition


class ManagedServers:
    """All children. None runs before `release`, so that they don't delay the first worker.

    `on_change(provider, condition)` is called for those that the current configuration names.
    """

    def __init__(self, context: ChildContext, on_change: Callable[[str, ChildCondition], None]) -> None:
        self._context = context
        self._on_change = on_change
        self._children: dict[Recipe, ManagedServer] = {}
        self._retiring: set[ManagedServer] = set()
        self._current: frozenset[Recipe] = frozenset()
        self._count = 0
        self._is_released = False

    def release(self) -> None:
        """Start all planned children, now and later."""
        self._is_released = True
        for child in self._children.values():
            child.start()

    def plan(self, spec: Spec) -> dict[str, str]:
        """Start the children of `spec` that do not run yet. Return provider → address."""
        addresses: dict[str, str] = {}
        for recipe in self._recipes(spec):
            child = self._children.get(recipe)
            if child is None or child.is_given_up:
                child = self._start(recipe)
            addresses[recipe.provider] = child.address
        return addresses

    def keep(self, spec: Spec, linger_s: float = 0.0) -> None:
        """Make `spec` the current configuration: children that it does not name are stopped after `linger_s`."""
        self._current = frozenset(self._recipes(spec))
        for recipe in self._children.keys() - self._current:
            child = self._children.pop(recipe)
            self._retiring.add(child)
            self._context.tasks.start(self._retire(child, linger_s), f"retire {recipe.provider}")
        for recipe in self._current:
            self._report(self._children[recipe])

    def conditions(self) -> dict[str, ChildCondition]:
        """Return provider → condition of its child, for the current configuration."""
        return {child.recipe.provider: child.condition for child in self._children.values() if self._is_current(child)}

    def pids(self) -> dict[str, int]:
        """Return provider → process id of its child; 0 while no process runs."""
        return {child.recipe.provider: child.pid for child in self._children.values() if self._is_current(child)}

    async def close(self) -> None:
        """Stop all children."""
        children = [*self._children.values(), *self._retiring]
        self._children.clear()
        await asyncio.gather(*(child.stop() for child in children))

    def _recipes(self, spec: Spec) -> list[Recipe]:
        return recipes(spec, self._context.modules)

    def _start(self, recipe: Recipe) -> ManagedServer:
        self._count += 1
        child = ManagedServer(recipe, self._context.folder / f"child-{self._count}.sock", self._context, self._report)
        self._children[recipe] = child
        if self._is_released:
            child.start()
        return child

    async def _retire(self, child: ManagedServer, linger_s: float) -> None:
        await asyncio.sleep(linger_s)
        await child.stop()
        self._retiring.discard(child)

    def _report(self, child: ManagedServer) -> None:
        if self._is_current(child):
            self._on_change(child.recipe.provider, child.condition)

    def _is_current(self, child: ManagedServer) -> bool:
        return child.recipe in self._current and self._children.get(child.recipe) is child


def recipes(spec: Spec, modules: Mapping[str, str]) -> list[Recipe]:
    """Return the children that a configuration needs: one for each provider of such a kind that a model names."""
    used = {model.provider for model in spec.models.values()}
    needed = (one for one in spec.providers.values() if one.is_on and one.name in used and one.kind in modules)
    return [Recipe(one.name, modules[one.kind], (*_options(one.settings), *_bound(one, spec))) for one in needed]


def _bound(provider: ProviderSpec, spec: Spec) -> tuple[str, ...]:
    """Return the option that bounds answers to requests without a limit, where each model of a server has a `max_output`."""
    kind = provider_kinds().get(provider.kind)
    bounds = [model.max_output for model in spec.models.values() if model.provider == provider.name]
    known = [bound for bound in bounds if bound is not None]
    is_bounded = kind is not None and kind.bounds_output and len(known) == len(bounds)
    return ("--max-output", str(max(known))) if is_bounded else ()


def _options(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command line of a server. `speaks` concerns the gateway alone; the server takes every dialect it has."""
    options = sorted((name, value) for name, value in settings.items() if name != "speaks")
    return tuple(part for name, value in options for part in (f"--{name}", str(value)))
