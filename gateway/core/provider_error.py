"""The one reader of errors that providers send: why a request failed, in the provider's own words, whatever their shape.

Every vendor has its own shape, and compatible servers, relays and proxies mix them:

| shape                                                                     | from                                 |
|---------------------------------------------------------------------------|--------------------------------------|
| `{"error": {"code", "type", "message", "param"}}`, the code a name or a number | OpenAI, Azure, llama.cpp, vLLM  |
| the same with `innererror: {"code"}` in it                                | Azure                                |
| the same with `status` and `details: [{"reason"}]`, in a list of one      | Gemini                               |
| the same with `metadata: {"raw": "…"}`, another provider's error as text  | OpenRouter                           |
| `{"type": "error", "error": {"type", "message"}}`                         | Anthropic                            |
| `{"object": "error", "code", "type", "message"}`                          | older vLLM, SGLang                   |
| `{"code": "…", "error": "…"}`                                             | xAI                                  |
| `{"object": "error", "message": {"detail": [{"loc", "msg"}]}}`            | Mistral                              |
| `{"detail": "…"}`, `{"detail": [{"loc", "msg"}]}`                         | FastAPI                              |
| `{"base_resp": {"status_code", "status_msg"}}`                            | MiniMax                              |
| `{"error_code", "error_msg"}`, `{"errors": [{"message"}]}`, `{"error": "…"}`, `{"message"}`, plain text | others |

Who needs the reason reads it here: the classifier (`providers/classify.py`), the translation of errors (`dialects/bridge.py`), the
message for client and log. Nothing here raises.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

TOO_LONG: Final = "context_length_exceeded"
"""The `code` of a prompt that is too long, whatever the provider calls it: clients shorten their history when they read it."""

BODY_LIMIT: Final = 64 * 2**10  # bytes; a longer body is not read
DEPTH_LIMIT: Final = 4  # of errors inside errors
WORDS_LIMIT: Final = 300  # characters of a provider's words in a message of the gateway

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MESSAGES: Final = ("message", "msg", "error_msg", "status_msg", "detail", "details", "error", "title", "reason")
_NAMES: Final = ("code", "type", "error_type", "error_code", "status_code", "status", "reason")
_INTERNALS: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+"  # URLs
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-f:]+\](?::\d+)?"  # addresses
    r"|\b[\w-]+(?:\.[\w-]+)*:\d{2,5}\b"  # host:port
    r"|(?<![\w/])/(?:[\w.-]+/)+[\w.-]+"  # paths of files
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"  # ids of accounts
    r"|\b(?:AIza|xai-|gsk_|hf_|nvapi-)[\w-]{6,}"  # keys of a known form
    r"|\b(?:org|proj|user|team|acct|ak|project|organization)[-_](?=\w*\d)[\w-]{6,}",
    re.IGNORECASE,
)


class ProviderError(msgspec.Struct, frozen=True):
    """A provider's reason for an error, in its own words. `names`: all its codes and types in lower case, the most specific first."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    names: tuple[str, ...] = ()


def read_provider_error(body: bytes) -> ProviderError | None:
    """Return the error in a body; None where it names no reason: empty, a page of HTML, too long, another document."""
    if not body or len(body) > BODY_LIMIT:
        return None
    try:
        return _read(msgspec.json.decode(body), 0)
    except _UNREADABLE:
        pass
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return None
    return ProviderError(text) if text and text[0] not in '<{["' and text.isprintable() else None


def provider_words(error: ProviderError | None) -> str:
    """Return the provider's words as they may stand in a message of the gateway: one line, cut, without addresses and accounts.

    "" where it has none. Keys are the caller's to redact.
    """
    if error is None:
        return ""
    text = error.message.partition("Traceback (most recent call last)")[0]
    words = " ".join(text[: 4 * WORDS_LIMIT].split())
    words = _INTERNALS.sub("…", "".join(one for one in words if one.isprintable()))
    return words if len(words) <= WORDS_LIMIT else f"{words[: WORDS_LIMIT - 1]}…"


def _read(document: Any, depth: int) -> ProviderError | None:
    if isinstance(document, list):
        return _read(document[0], depth + 1) if document and depth < DEPTH_LIMIT else None
    if isinstance(document, str):
        return ProviderError(document) if document.strip() else None
    if not isinstance(document, dict):
        return None
    error = _innermost(document)
    raw = _relayed(error, depth)
    names = [*(raw.names if raw is not None else ()), *_names(error)]
    if error is not document:
        names += _names(document)
    message = _text(error, 0) or _text(document, 0)
    if raw is not None and raw.message:
        message = f"{message}: {raw.message}" if message else raw.message
    if not message and not names:
        return None
    code, kind, param = _name(error.get("code")), _name(error.get("type")), _place(error.get("param"))
    return ProviderError(message or code or kind or "", kind, code, param, tuple(name.lower() for name in names))


def _innermost(document: dict[str, Any]) -> dict[str, Any]:
    """Return the object that holds the reason: `error`, the first of `errors`, `base_resp`, otherwise the document."""
    for name in ("error", "errors", "base_resp"):
        found = document.get(name)
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            return found
    return document


def _relayed(error: dict[str, Any], depth: int) -> ProviderError | None:
    """Return the error of the provider behind a relay, which the relay's own error repeats as text."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or depth >= DEPTH_LIMIT:
        return None
    try:
        return _read(msgspec.json.decode(raw), depth + 1)
    except _UNREADABLE:
        return ProviderError(raw) if raw.strip() and raw.lstrip()[0] not in "<{[" else None


def _names(error: dict[str, Any]) -> Iterator[str]:
    inner, details = error.get("innererror"), error.get("details")
    found = [inner.get("code")] if isinstance(inner, dict) else []
    if isinstance(details, list):
        found += [one.get("reason") for one in details if isinstance(one, dict)]
    found += [error.get(name) for name in _NAMES]
    for value in found:
        if (name := _name(value)) is not None:
            yield name


def _name(value: Any) -> str | None:
    """Return a code or type as text, a number too; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (value or None) if isinstance(value, str) else None


def _place(value: Any) -> str | None:
    """Return a parameter, or its path, as text: `messages.0.content` for `["messages", 0, "content"]`."""
    if isinstance(value, list):
        return ".".join(name for one in value if (name := _name(one))) or None
    return _name(value)


def _text(value: Any, depth: int) -> str:
    """Return the message in a value: a text, the message of an object, those of a list in a row."""
    if isinstance(value, str):
        return value.strip()
    if depth >= DEPTH_LIMIT:
        return ""
    if isinstance(value, list):
        return "; ".join(text for one in value[:8] if (text := _text(one, depth + 1)))
    if not isinstance(value, dict):
        return ""
    for name in _MESSAGES:
        if text := _text(value.get(name), depth + 1):
            place = _place(value.get("loc")) if name in ("msg", "message") else None
            return f"{place}: {text}" if place else text
    return ""
