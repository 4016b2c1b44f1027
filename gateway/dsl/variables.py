"""The variables that a condition may read: one entry each, with type, default (if the client sent none) and meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.core.chat import ChatRequest

Type = Literal["bool", "int", "double", "string", "map"]
Phase = Literal["match", "classified"]  # classified: known only after classification

MAX_TEXT = 1024  # characters of a client's text that a condition sees; bounds the cost of one evaluation
_MAX_INT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """The data that variables are read from. `headers` has lower-case names; `wall_s` is seconds since the epoch."""

    request: ChatRequest
    headers: Mapping[str, str]
    tenant: str
    labels: Mapping[str, str]
    wall_s: float


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. `default` is its value if the client sent none. A map has no `read`: its values are read by name."""

    name: str
    type: Type
    default: bool | int | float | str
    doc: str
    read: Callable[[Facts], bool | int | float | str] | None = None
    phase: Phase = "match"


def text(value: str) -> str:
    """Return `value` as CEL accepts it: valid Unicode, at most `MAX_TEXT` characters."""
    if len(value) > MAX_TEXT:
        value = value[:MAX_TEXT]
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _whole(value: int | None, default: int = 0) -> int:
    return default if value is None else min(value, _MAX_INT)


def _temperature(facts: Facts) -> float:
    value = facts.request.temperature
    return 1.0 if value is None else float(max(-1e9, min(value, 1e9)))


def _hour(facts: Facts) -> int:
    return int(facts.wall_s // 3600) % 24


def _weekday(facts: Facts) -> int:
    return (int(facts.wall_s // 86400) + 3) % 7 + 1  # the epoch began on a Thursday


_ALL = (
    Variable(
        "request.model", "string", "", "the requested model, as the client wrote it", lambda f: text(f.request.model)
    ),
    Variable(
        "request.path",
        "string",
        "",
        'the path of the request, such as "/v1/chat/completions"',
        lambda f: text(f.request.path),
    ),
    Variable(
        "request.tokens",
        "int",
        0,
        "estimated tokens of the prompt",
        lambda f: _whole(f.request.tokens),
    ),
    Variable(
        "request.max_tokens",
        "int",
        0,
        "the limit on output tokens; 0 if not sent",
        lambda f: _whole(f.request.max_tokens),
    ),
    Variable(
        "request.has_max_tokens",
        "bool",
        False,
        "whether the client sent a limit on output tokens",
        lambda f: f.request.max_tokens is not None,
    ),
    Variable("request.n", "int", 1, "the number of requested choices", lambda f: _whole(f.request.n, 1)),
    Variable("request.tools", "int", 0, "the number of tools offered to the model", lambda f: _whole(f.request.tools)),
    Variable("request.images", "int", 0, "the number of images in the messages", lambda f: _whole(f.request.images)),
    Variable("request.stream", "bool", False, "whether the client wants a stream", lambda f: f.request.stream),
    Variable(
        "request.has_stream", "bool", False, "whether the client sent `stream` at all", lambda f: f.request.has_stream
    ),
    Variable("request.temperature", "double", 1.0, "the sampling temperature; 1.0 if not sent", _temperature),
    Variable(
        "request.has_temperature",
        "bool",
        False,
        "whether the client sent a temperature",
        lambda f: f.request.temperature is not None,
    ),
    Variable("headers", "map", "", 'the client\'s headers by name, in any case; one that was not sent is `""`'),
    Variable("tenant", "string", "", "the name of the tenant; empty without tenants", lambda f: text(f.tenant)),
    Variable("labels", "map", "", 'the tenant\'s labels by name; a missing one is `""`'),
    Variable("now.hour", "int", 0, "the hour of the day in UTC, 0 to 23", _hour),
    Variable("now.weekday", "int", 1, "the day of the week in UTC: Monday is 1, Sunday is 7", _weekday),
    Variable("tier", "string", "", "how hard the request is: `simple`, `moderate` or `complex`", phase="classified"),
)

VARIABLES: Mapping[str, Variable] = {variable.name: variable for variable in _ALL}
TIERS = ("simple", "moderate", "complex")  # constants to compare `tier` with
ROOTS = frozenset(name.partition(".")[0] for name in VARIABLES)  # `request`, `now`, `headers` …

# Headers that carry a client's key. A condition on one would have to contain the key.
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key"})
