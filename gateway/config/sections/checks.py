"""`checks`: expectations about the routing, run at every load by `routing.checks`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.definitions import Schema, mapping, ref
from gateway.config.messages import did_you_mean
from gateway.config.names import Names
from gateway.config.nodes import NOWHERE, Trail, place_of
from gateway.config.read import Reader
from gateway.config.section import ReadContext, SchemaContext, Section
from gateway.core.problem import Place


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """`given` a request, `expect` this of the routing. Keys of `given`: model, tokens, max_tokens, tools, images, stream,
    temperature, path, headers, tenant, hour, weekday. Keys of `expect`: route, pool, model, none (true: no route)."""

    name: str
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    place: Place = NOWHERE


def _schema(context: SchemaContext) -> Schema:
    item = mapping(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What it shows."},
            "given": mapping(_given(), "A request.", ("model",)),
            "expect": mapping(_expect(), "What becomes of it.", minProperties=1),
        },
        required=("name", "given", "expect"),
    )
    return {
        "type": "array",
        "items": item,
        "description": "Run at every load, as if every provider had its key; a failed one refuses the file.",
    }


def _given() -> Schema:
    def number(description: str, **more: Any) -> Schema:
        return {"type": "integer", "minimum": 0, "description": description, **more}

    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "model": ref("name", "The model that is asked for."),
        "tokens": number("Of the prompt."),
        "max_tokens": number("As the client sends it."),
        "tools": number("How many are offered."),
        "images": number("How many the messages hold."),
        "stream": {"type": "boolean", "description": "Whether a stream is asked for."},
        "temperature": {"type": "number", "minimum": 0, "description": "As the client sends it."},
        "path": {
            "type": "string",
            "pattern": "^/",
            "examples": ["/v1/chat/completions"],
            "description": "The path of the call.",
        },
        "headers": {
            **texts,
            "propertyNames": {"$ref": "#/$defs/header_name"},
            "description": "Headers of the request.",
        },
        "tenant": ref("name", "Who asks; the tenant's labels come with it."),
        "hour": number("Of the day, UTC.", maximum=23),
        "weekday": number("Monday is 1, Sunday 7.", minimum=1, maximum=7),
    }


def _expect() -> Schema:
    return {
        "route": ref("name", "The route that takes it."),
        "pool": ref("name", "The pool that it leads to."),
        "model": ref("name", "The model that is asked first."),
        "none": {"const": True, "type": "boolean", "description": "No route takes it."},
    }


def _read(context: ReadContext) -> Mapping[str, Any]:
    return {
        "checks": tuple(
            CheckSpec(given["name"], given["given"], given["expect"], place_of(context.root, ("checks", index)))
            for index, given in enumerate(context.values.get("checks", ()))
        )
    }


def _check(reader: Reader, names: Names) -> None:
    """Refuse names of routes, pools, models and tenants that do not exist."""
    titles = [(i, route.get("name")) for i, route in names.routes]
    routes = {title for _, title in titles}
    for index, check in names.checks:
        trail: Trail = ("checks", index)
        given, expect = check.get("given"), check.get("expect")
        if isinstance(given, dict) and "tenant" in given:
            names.refer(reader, (*trail, "given", "tenant"), given["tenant"], ("tenants",))
        if not isinstance(expect, dict):
            continue
        route = expect.get("route")
        if isinstance(route, str) and route not in routes and None not in routes and "routes" not in names.broken:
            at = (*trail, "expect", "route")
            literal = [
                title
                for i, title in titles
                if isinstance(title, str) and reader.shown(("routes", i, "name")).startswith('"')
            ]
            reader.complain(at, f"there is no route {reader.shown(at)}{did_you_mean(route, literal)}")
        for key in ("pool", "model"):
            if key in expect:
                names.refer(reader, (*trail, "expect", key), expect[key], (f"{key}s",))
        if "none" in expect and len(expect) > 1:
            reader.complain(
                (*trail, "expect", "none"), "stands alone: where no route takes it there is nothing more to expect"
            )


CHECKS: Final = Section(key="checks", schema=_schema, read=_read, checks=(_check,))
