"""The JSON Schema of `routes`: a route for names of models (`match`, `to`), or one for paths (`paths`, `provider`)."""

from typing import Any, get_args

from gateway.config.definitions import Schema, mapping, patterns, ref
from gateway.config.nodes import Trail
from gateway.config.section import Kinds, SchemaContext
from gateway.config.sections.routes.spec import Method


def routes_schema(context: SchemaContext) -> Schema:
    """Return the schema of the section."""
    return {
        "type": "array",
        "minItems": 1,
        "items": _route(context),
        "description": "In order; the first whose `match` and `when` hold takes the request.",
    }


def refusal(trail: Trail, plain: Any, kinds: Kinds) -> str:
    """Return why a key of the other form of route is refused."""
    if "paths" in plain["routes"][trail[1]]:
        return "belongs to routes with `match` and `to`; this one has `paths`, and passes them to its `provider`"
    return "belongs to routes with `paths`; this one has none"


def _route(context: SchemaContext) -> Schema:
    by_name, by_path = context.at_level["route"], context.at_level["path_route"]
    settings = {
        "name": ref("name", "Shown in headers, logs and metrics."),
        "match": patterns("Names that clients ask for; * stands for any text."),
        "when": ref("condition", "A condition in CEL over request, headers, tenant, labels and time."),
        "to": ref("model_name", "A pool, a model, or `requested`: the model that was asked for."),
        "paths": patterns(
            "In place of `match`: paths that are passed through; * stands for any text, slashes too.", "path_pattern"
        ),
        "provider": ref("name", "In place of `to`: the provider that these paths are passed to."),
        "methods": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(get_args(Method))},
            "default": ["GET", "POST", "DELETE"],
            "description": "Methods that these paths take; where GET is, HEAD is too.",
        },
        **by_name,
        **by_path,
    }

    def form(required: tuple[str, ...], *refused: str) -> Schema:
        about = {key: {"description": settings[key]["description"]} for key in required}
        return {"required": list(required), "properties": {**about, **{key: {"not": {}} for key in refused}}}

    return {
        **mapping(settings, required=("name",)),
        "if": {"required": ["paths"]},
        "then": form(("paths", "provider"), "match", "to", *(key for key in by_name if key not in by_path)),
        "else": form(("match", "to"), "provider", "methods", *(key for key in by_path if key not in by_name)),
    }
