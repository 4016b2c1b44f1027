"""The line that a start on a terminal ends with: a request to try."""

import json
from collections.abc import Sequence
from shlex import quote

from gateway.config.spec import Listen, Spec

_QUESTION = "What is the capital of France?"
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def curl_line(spec: Spec, listen: Listen, port: int) -> str:
    """Return a curl command that sends a first request to a listener; `port` is the one it got. "" where no name can be asked for."""
    model = _model(spec)
    if not model:
        return ""
    scheme = "http" if listen.tls is None else "https"
    host = _ANY_HOST.get(listen.host) or (f"[{listen.host}]" if ":" in listen.host else listen.host)
    base = f"{scheme}://localhost" if listen.path else f"{scheme}://{host}:{port}"
    body = {"model": model, "max_tokens": 60, "messages": [{"role": "user", "content": _QUESTION}]}
    words = ["curl", "-s", *(["--unix-socket", listen.path] if listen.path else []), f"{base}/v1/chat/completions"]
    words += ["-H", "content-type: application/json"]
    words += ["-H", "authorization: Bearer YOUR_KEY"] if spec.tenants else []
    return " ".join(map(quote, (*words, "-d", json.dumps(body))))


def _model(spec: Spec) -> str:
    """Return a name that the first routes take without a condition: `auto` where there is one."""
    names: Sequence[str] = [
        name for route in spec.routes if route.when is None for name in route.match if "*" not in name
    ]
    return "auto" if "auto" in names else next(iter(names), "")
