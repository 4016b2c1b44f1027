"""The behaviour of a simulated model, which is written in the name of the model: `sim-tokens200-first0.3s-rate50-cut_after20`.

A name is `sim` and fields separated by dashes; a field is a setting's name and its value. The fields of `Behaviour` are the only
source of this language. Three things follow from them: the schema of `simulate:` in the configuration, the model names that the
gateway writes, and the parser of those names in the simulator's server.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal

BASE_NAME = "sim"

Kind = Literal["count", "duration", "rate", "share", "flag"]


def _setting(kind: Kind, about: str, default: Any = None, *, minimum: int = 0, maximum: int = 10**9) -> Any:
    limits = {"minimum": minimum, "maximum": maximum}
    return field(default=default, metadata={"kind": kind, "about": about, "limits": limits, "is_fault": False})


def _fault(kind: Kind, about: str, *, minimum: int = 0, maximum: int = 10**9) -> Any:
    limits = {"minimum": minimum, "maximum": maximum}
    default = False if kind == "flag" else None
    return field(default=default, metadata={"kind": kind, "about": about, "limits": limits, "is_fault": True})


def _flag(about: str) -> Any:
    return field(default=False, metadata={"kind": "flag", "about": about, "limits": {}, "is_fault": False})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the simulator answers. Durations in seconds, rates per second, shares from 0 to 1."""

    tokens: int = _setting(
        "count", "tokens of the answer, one content event each; at most `max_tokens` of the request", 16
    )
    prompt_tokens: int | None = _setting(
        "count", "prompt tokens to report instead of one for each word of the messages"
    )
    cached_tokens: int | None = _setting("count", "how many of the prompt's tokens to report as cached")
    written_tokens: int | None = _setting("count", "how many of the prompt's tokens to report as written to the cache")
    head: float = _setting("duration", "time until the head of the answer", 0.0)
    first: float = _setting("duration", "time until the first content", 0.0)
    rate: float | None = _setting("rate", "tokens per second after the first; default: as fast as the client reads")
    bytes: int | None = _setting("count", "bytes of text in each token, for big events", minimum=1)
    seed: int = _setting("count", "picks the words of the answer: the same seed gives the same text", 0)
    tools: int | None = _setting(
        "count", "answer with this number of tool calls instead of text", minimum=1, maximum=64
    )
    script: int | None = _setting(
        "count", 'call the tool `step` in this number of turns, with `{"k": 1}` first, then answer with text', minimum=1
    )
    think: int | None = _setting("count", "tokens of thinking before the answer", minimum=1)
    echo: bool = _flag("answer with the content after the model's last turn: texts, tool results, `[image …]`")
    refuse: bool = _flag("the text is the model's refusal")
    tricky: bool = _flag("the first token holds `data: [DONE]`, line separators and quotes")
    dimensions: int = _setting(
        "count", "length of an embedding where the request gives none", 256, minimum=1, maximum=8192
    )

    no_role: bool = _flag("no event that carries only the role stands before the first content")
    no_usage: bool = _flag("never report usage")
    bare_usage: bool = _flag("events before the last have no `usage: null`")
    late_usage: bool = _flag("report usage in the event with the finish reason, requested or not")
    crlf: bool = _flag("lines of a stream end in CR LF")
    comments: bool = _flag("a comment precedes every event")
    pings: bool = _flag("a `ping` precedes every content event of messages")
    limits: bool = _flag("send all rate limits and their resets in headers")
    chunk: int | None = _setting("count", "write everything in pieces of this number of bytes", minimum=1)
    join: int | None = _setting("count", "write this number of events at a time", minimum=1)
    gzip: bool = _flag("compress the answer, requested or not")

    window: int | None = _setting("count", "refuse prompts of more tokens as too long for the model", minimum=1)
    batch: int | None = _setting("count", "refuse requests for embeddings with more inputs", minimum=1)
    intake: int | None = _setting("count", "read the files of an upload at this number of bytes per second", minimum=1)

    error_share: float | None = _setting(
        "share", "share of this model's requests that have the faults below, evenly spread; default: all"
    )
    error: int | None = _fault("count", "answer with this HTTP status and an error", minimum=300, maximum=599)
    retry_after: float | None = _fault("duration", "send Retry-After with the error")
    reset_in: float | None = _fault(
        "duration", "state in the headers of refusals that no request is left for this time"
    )
    quota: bool = _fault("flag", "refuse: the credit is used up")
    policy: bool = _fault("flag", "refuse: the prompt breaks the provider's policy")
    cut_head: bool = _fault("flag", "reset the connection before the first byte")
    cut_after: int | None = _fault(
        "count", "reset the connection after this number of content events; unstreamed, after half the body"
    )
    cut_inside: int | None = _fault("count", "as `cut_after`, but in the middle of the next event")
    stall_head: bool = _fault("flag", "never answer")
    stall_after: int | None = _fault(
        "count", "send nothing more after this number of content events; unstreamed, after half the body"
    )
    fail_after: int | None = _fault(
        "count", "after this number of content events of a stream send an error event and end"
    )
    end_after: int | None = _fault(
        "count", "after this number of content events end the stream without a finish reason and without [DONE]"
    )
    no_done: bool = _fault("flag", "a complete stream without [DONE]")
    html: bool = _fault("flag", "an HTML page with status 200")
    garbage: bool = _fault("flag", "status 200 and something that is not JSON")
    huge_line: int | None = _fault(
        "count", "a stream whose first event is a line of this number of bytes that never ends", minimum=1
    )
    long_length: int | None = _fault("count", "announce this number of bytes more than are sent, then close", minimum=1)
    surplus: int | None = _fault("count", "send this number of bytes after the end of the answer", minimum=1)
    close: bool = _fault("flag", "close the connection after the answer without having announced it")

    def model_name(self) -> str:
        """Return the model name that stands for this behaviour."""
        parts = [BASE_NAME]
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                parts.append(one.name + _WRITERS[_kind(one)](value))
        return "-".join(parts)

    def without_faults(self) -> "Behaviour":
        """Return the same behaviour without its faults."""
        healthy: dict[str, Any] = {one.name: one.default for one in fields(self) if one.metadata["is_fault"]}
        return replace(self, **healthy)

    def fails(self, number: int) -> bool:
        """Return whether the `number`-th request of a model (from 1) has the faults: spread evenly, the same in every run."""
        if self.error_share is None:
            return True
        millionths = round(self.error_share * 1_000_000)
        return number * millionths // 1_000_000 > (number - 1) * millionths // 1_000_000


def simulated_model_id(settings: Mapping[str, Any]) -> str:
    """Return the model name for the settings of `simulate:`, units already parsed."""
    return Behaviour(**settings).model_name()


def behaviour_of(name: str) -> Behaviour:
    """Parse a model name. A name that does not begin with `sim` behaves like `sim`; raises ValueError for an invalid field."""
    base, *parts = name.split("-")
    if base != BASE_NAME:
        return Behaviour()
    given: dict[str, Any] = {}
    for part in parts:
        match = _PART.fullmatch(part)
        one = _FIELDS.get(match["name"]) if match else None
        if match is None or one is None:
            raise ValueError(f"model {name!r}: no field {part!r}")
        if one.name in given:
            raise ValueError(f"model {name!r}: field {one.name!r} occurs twice")
        given[one.name] = _read(one, match["value"], name)
    return Behaviour(**given)


def _read(one: "Field[Any]", text: str, name: str) -> Any:
    pattern, read, example = _READERS[_kind(one)]
    if not re.fullmatch(pattern, text):
        raise ValueError(f"model {name!r}: field {one.name!r} is written as in {one.name}{example!s}")
    value, limits = read(text), one.metadata["limits"]
    if _kind(one) == "count" and not limits["minimum"] <= value <= limits["maximum"]:
        raise ValueError(
            f"model {name!r}: field {one.name!r} is {limits['minimum']} to {limits['maximum']} (got {value})"
        )
    return value


def _kind(one: "Field[Any]") -> Kind:
    kind: Kind = one.metadata["kind"]
    return kind


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _schema(one: "Field[Any]") -> dict[str, Any]:
    kind = _kind(one)
    if kind == "flag":
        return {"type": "boolean", "description": one.metadata["about"]}
    if kind == "count":
        return {"type": "integer", **one.metadata["limits"], "description": one.metadata["about"]}
    return {"$ref": f"#/$defs/{kind}", "description": one.metadata["about"]}


_FIELDS: Mapping[str, "Field[Any]"] = {one.name: one for one in fields(Behaviour)}
_PART = re.compile(r"(?P<name>[a-z_]+)(?P<value>(?:[0-9].*)?)")
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_READERS: Mapping[Kind, tuple[str, Callable[[str], Any], str]] = {
    "count": (r"[0-9]{1,10}[kM]?", lambda text: int(text.replace("k", "000").replace("M", "000000")), "20"),
    "duration": (
        _NUMBER + "(?:ms|s)",
        lambda text: float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1]),
        "0.3s",
    ),
    "rate": (_NUMBER, float, "50"),
    "share": (_NUMBER + "%", lambda text: float(text[:-1]) / 100, "10%"),
    "flag": ("", lambda text: True, ""),
}
_WRITERS: Mapping[Kind, Callable[[Any], str]] = {
    "count": str,
    "duration": lambda value: _plain(value) + "s",
    "rate": _plain,
    "share": lambda value: _plain(value * 100) + "%",
    "flag": lambda value: "",
}

SIMULATE_SCHEMA: Mapping[str, Mapping[str, Any]] = {one.name: _schema(one) for one in fields(Behaviour)}
