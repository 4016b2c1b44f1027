"""The base URL of a provider, and the target of a request below it.

The path may contain `{model}`, for servers with a path for each model; the query of the URL is sent with every request.
"""

import re
from typing import Final
from urllib.parse import quote, urlsplit

MODEL: Final = "{model}"

_MODEL_PATH: Final = re.compile(r"(?:/deployments)?/[^/]*\{model\}.*")


class BaseUrl:
    """The path of a URL, without a slash at its end, and its query."""

    __slots__ = ("path", "query")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/")
        self.query = parts.query

    @property
    def path_names_model(self) -> bool:
        """Whether each model has its own path."""
        return MODEL in self.path

    def target(self, below: str, model_id: str) -> str:
        """Return the target of a request to `below`, which may have its own query, for the model `model_id`."""
        return self._with_query(self.path.replace(MODEL, quote(model_id, safe="")), below)

    def target_without_model(self, below: str) -> str:
        """Return the target of a request that concerns no model: below the part of the path that precedes `{model}`."""
        return self._with_query(_MODEL_PATH.sub("", self.path), below)

    def _with_query(self, path: str, below: str) -> str:
        below, _, own = below.partition("?")
        query = "&".join(part for part in (self.query, own) if part)
        return f"{path}{below}?{query}" if query else f"{path}{below}"
