"""The usage that a passed-through response reports: all that can be charged of a body that the gateway does not read."""

from collections.abc import Mapping

import msgspec

from gateway.config.globs import fits
from gateway.config.spec import ModelSpec
from gateway.core.usage import Usage, bounded_tokens

COPY_LIMIT = 2**20  # bytes of an answer that is looked at


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """The members that are in use: of chat, of images and sound, and of rankings, which know a total only."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    model: str
    usage: _Usage


_decode = msgspec.json.Decoder(_Answer).decode


def reported_usage(body: bytes) -> tuple[str, Usage] | None:
    """Return the model and the usage that a response reports; None where either is missing."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage = answer.usage
    output = bounded_tokens(usage.completion_tokens or usage.output_tokens)
    given = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
    if given is None:
        if usage.total_tokens is None:
            return None
        given = max(0, usage.total_tokens) - output
    details = usage.prompt_tokens_details or usage.input_tokens_details
    cached = bounded_tokens(details.cached_tokens if details is not None else 0)
    return answer.model, Usage(input=max(0, bounded_tokens(given) - cached), cached_input=cached, output=output)


def model_known_as(reported: str, provider: str, models: Mapping[str, ModelSpec]) -> str | None:
    """Return the configured model that `provider` calls `reported`; None where there is none."""
    own = [model for model in models.values() if model.provider == provider]
    exact = [model.name for model in own if not model.is_family and reported in (model.id, model.name)]
    families = [model.name for model in own if model.is_family and fits(model.name, reported)]
    return next(iter((*exact, *families)), None)
