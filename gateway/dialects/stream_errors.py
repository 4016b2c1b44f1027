"""Errors inside a stream with status 200, in the shapes of all providers.

| shape                                                             | sent by                                   |
|-------------------------------------------------------------------|-------------------------------------------|
| `{"error": {…}}`, `{"error": "…"}`, also beside `choices`         | OpenAI, vLLM, OpenRouter                  |
| `{"type": "error", …}`, `{"object": "error", …}`                  | Anthropic, OpenAI's responses, older vLLM |
| `{"type": "response.failed", "response": {"error": {…}}}`         | OpenAI's responses                        |
| `event: error` with any data                                      | many                                      |
| `{"code": 500, "message": "…"}`, `{"detail": "…"}`, a list of one | relays, FastAPI, Gemini                   |
| `{"base_resp": {"status_code": 1004, "status_msg": "…"}}`         | MiniMax                                   |

An empty `error` (null, false, "", {}) is none.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.core.conversation import Failure
from gateway.streaming.sse import data_of

_NAMED: Final = re.compile(rb"(?:^|[\r\n])event: ?error(?:$|[\r\n])")  # so named in every dialect
_MESSAGES: Final = (
    "message",
    "detail",
    "details",
    "msg",
    "error_msg",
    "error_message",
    "errmsg",
    "status_msg",
    "title",
)
_CODES: Final = ("code", "status_code", "error_code", "errcode", "status")
_FINE: Final = (None, 0, 200, "0", "200", "ok", "success")  # codes of no error
_WORDS_LIMIT: Final = 1000  # characters of a provider's message
_DEFAULT: Final = "the provider reported an error"

_decode = msgspec.json.Decoder().decode


def read_failure(event: bytes) -> Failure | None:
    """Return the error that an event reports; None for any other event. Never raises."""
    is_named = b"error" in event and _NAMED.search(event) is not None
    data = (data_of(event) or b"").strip()
    try:
        document = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure(_cut(data.decode("utf-8", "replace")) or _DEFAULT) if is_named else None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        return Failure(_cut(str(document))) if is_named else None
    error = _error_of(document, is_named=is_named)
    return None if error is None else _failure(error)


def is_named_error(event: bytes) -> bool:
    """Return whether an event has the name `error`."""
    return b"error" in event and _NAMED.search(event) is not None


def status_of(failure: Failure) -> int | None:
    """Return the HTTP status that an error means: its code where that is a status, otherwise by its type."""
    if failure.code is not None and failure.code.isdecimal() and 400 <= int(failure.code[:4]) <= 599:
        return int(failure.code)
    names = f"{failure.type} {failure.code or ''}".lower()
    return next((status for part, status in _STATUSES if part in names), None)


_STATUSES: Final = (
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("quota", 429),
    ("resource_exhausted", 429),
    ("too_many_requests", 429),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("context_length", 400),
    ("context_size", 400),
    ("invalid_request", 400),
    ("invalid_argument", 400),
    ("badrequest", 400),
    ("request_too_large", 413),
    ("overloaded", 529),
)
"""Parts of the types and codes that mean a status."""


def _error_of(document: Mapping[str, Any], *, is_named: bool) -> Any:
    """Return the error in a document: an object or a text; None where there is none."""
    for name in ("error", "errors"):
        error = document.get(name)
        if error is True:
            return document
        if error and isinstance(error, str | dict | list):
            return error[0] if isinstance(error, list) else error
    base, response = document.get("base_resp"), document.get("response")
    if isinstance(base, dict) and base.get("status_code") not in _FINE:
        return base
    kind = document.get("type") or document.get("object")
    if kind == "response.failed":
        return (response.get("error") if isinstance(response, dict) else None) or document
    if is_named or kind == "error":
        return document
    if isinstance(kind, str):  # an event that this dialect or another names
        lower = kind.lower()
        is_error = "choices" not in document and lower.endswith(("error", "exception")) and "." not in lower
        return document if is_error else None
    if "choices" in document or "usage" in document:
        return None
    codes = [document[name] for name in _CODES if name in document]
    if codes and all(isinstance(code, int | str) and code in _FINE for code in codes):
        return None
    if any(isinstance(document.get(name), str | list | dict) and document.get(name) for name in _MESSAGES):
        return document
    return document if any(isinstance(code, int) and code >= 400 for code in codes) else None


def _failure(error: Any) -> Failure:
    if not isinstance(error, dict):
        return Failure(_cut(error if isinstance(error, str) else msgspec.json.encode(error).decode()) or _DEFAULT)
    message = next((error[name] for name in _MESSAGES if error.get(name)), "")
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    kind = error.get("type")
    codes = [error[name] for name in _CODES if isinstance(error.get(name), int | str) and error[name] not in ("", 0)]
    code = next((str(code) for code in codes), None)
    return Failure(_cut(message) or _DEFAULT, kind if isinstance(kind, str) and kind != "error" else "", code)


def _cut(words: str) -> str:
    return words[:_WORDS_LIMIT]
