"""`defaults`: settings for every provider, model, pool and route. What they are stands in `config/settings/`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.config.definitions import Schema, mapping
from gateway.config.section import ReadContext, SchemaContext, Section
from gateway.config.settings import read_policy
from gateway.config.settings.timeout import DEFAULT_TIMEOUT


def _schema(context: SchemaContext) -> Schema:
    return mapping(context.at_level["defaults"], "Settings for every provider, model, pool and route.")


def _read(context: ReadContext) -> Mapping[str, Any]:
    """Return the defaults, their clocks over those that are built in."""
    policy = read_policy(context.values.get("defaults", {}), "defaults")
    return {"defaults": replace(policy, timeout={**DEFAULT_TIMEOUT, **policy.timeout})}


DEFAULTS: Final = Section(key="defaults", schema=_schema, read=_read)
