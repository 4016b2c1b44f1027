"""The base URL of a provider, and where below it a call goes.

A URL may hold `{model}` in its path, for servers that have an address for each model, and a query that is sent with every call.
"""

import re
from typing import Final
from urllib.parse import quote, urlsplit

MODEL: Final = "{model}"

_OF_ONE_MODEL: Final = re.compile(r"(?:/deployments)?/[^/]*\{model\}.*")


class BaseUrl:
    """A URL's path, without a slash at its end, and its query."""

    __slots__ = ("path", "query")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/")
        self.query = parts.query

    @property
    def path_names_model(self) -> bool:
        """Whether each model has a place of its own."""
        return MODEL in self.path

    def target(self, below: str, model_id: str) -> str:
        """Give the target of a call to `below`, which may bring a query of its own, for the model of this id."""
        return self._with_query(self.path.replace(MODEL, quote(model_id, safe="")), below)

    def target_without_model(self, below: str) -> str:
        """Give the target of a call that is about no model: `below` what stands before the models' own places."""
        return self._with_query(_OF_ONE_MODEL.sub("", self.path), below)

    def _with_query(self, path: str, below: str) -> str:
        below, _, own = below.partition("?")
        query = "&".join(part for part in (self.query, own) if part)
        return f"{path}{below}?{query}" if query else f"{path}{below}"
