"""`gateway endpoints`, `gateway drain` and `gateway enable`: look at the endpoints of the running gateway, and turn them."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from gateway.runtime.control_client import Document, ask, refused

ENDPOINT_HEADS: Final = ("endpoint", "state", "in flight", "first token", "answer", "errors", "pools")
POOL_HEADS: Final = ("pool", "in flight", "limit", "waiting")
NOTHING: Final = "–"


def show(config_path: Path, *, as_json: bool) -> int:
    """Print how every endpoint and pool stands; gives the exit code."""
    answer = ask(config_path, "GET", "/admin/endpoints")
    if answer is None:
        return 1
    status, document = answer
    if "endpoints" not in document:
        return refused(status, document)
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return 0
    lines = _table(ENDPOINT_HEADS, [_endpoint(one) for one in document["endpoints"]])
    if document["pools"]:
        lines += ["", *_table(POOL_HEADS, [_pool(one) for one in document["pools"]])]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def turn(config_path: Path, what: Literal["drain", "enable"], name: str) -> int:
    """Drain or enable what `name` stands for and print the endpoints; gives the exit code."""
    answer = ask(config_path, "POST", f"/admin/endpoints/{what}", {"endpoint": name})
    if answer is None:
        return 1
    status, document = answer
    if "endpoints" not in document:
        return refused(status, document)
    done = {"drain": "drained", "enable": "enabled"}[what]
    for endpoint in document["endpoints"]:
        sys.stdout.write(f"{done} {endpoint} on {document['active']} of {document['workers']} workers\n")
    return 0


def _endpoint(one: Document) -> list[str]:
    means = [NOTHING if one[name] is None else f"{one[name] * 1000:.0f} ms" for name in ("first_token_s", "answer_s")]
    errors = NOTHING if one["error_rate"] is None else f"{one['error_rate']:.1%}"
    return [one["endpoint"], _state(one), str(one["in_flight"]), *means, errors, ", ".join(one["pools"]) or NOTHING]


def _state(one: Document) -> str:
    """Say in a word or two whether it is asked, and why not."""
    reasons = [
        "drained" * one["is_drained"],
        "key refused" * one["key_refused"],
        "unhealthy" * (not one["is_healthy"]),
        f"resting {one['resting_s']:.0f} s" if one["resting_s"] else "",
        "half-open" if one["state"] == "half_open" else "",
        f"open, {one['retry_in_s']:.0f} s" if one["state"] == "open" else "",
    ]
    return "; ".join(filter(None, reasons)) or "ok"


def _pool(one: Document) -> list[str]:
    limit = one["max_inflight"]
    return [one["pool"], str(one["in_flight"]), NOTHING if limit is None else str(limit), str(one["waiting"])]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out columns, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)
    ]
