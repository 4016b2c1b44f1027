"""`gateway reload`, `endpoints`, `drain` and `enable`: commands to the running gateway, and how their results are printed."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from gateway.core.problem import Place, Problem
from gateway.runtime.control_client import Document, ask, print_refusal

ENDPOINT_HEADS: Final = ("endpoint", "state", "in flight", "first token", "answer", "errors", "pools")
POOL_HEADS: Final = ("pool", "in flight", "limit", "waiting")
NOTHING: Final = "–"


def reload(config_path: Path) -> int:
    """Reload the gateway that runs with this file and print the outcome. Return the exit code."""
    answer = ask(config_path, "POST", "/admin/reload")
    return 1 if answer is None else _print_outcome(*answer)


def show_endpoints(config_path: Path, *, as_json: bool) -> int:
    """Print the state of every endpoint and pool. Return the exit code."""
    answer = ask(config_path, "GET", "/admin/endpoints")
    if answer is None:
        return 1
    status, document = answer
    if "endpoints" not in document:
        return print_refusal(status, document)
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return 0
    lines = _table(ENDPOINT_HEADS, [_endpoint_row(one) for one in document["endpoints"]])
    if document["pools"]:
        lines += ["", *_table(POOL_HEADS, [_pool_row(one) for one in document["pools"]])]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def set_rotation(config_path: Path, action: Literal["drain", "enable"], name: str) -> int:
    """Drain or enable the endpoints of `name` and print them. Return the exit code."""
    answer = ask(config_path, "POST", f"/admin/endpoints/{action}", {"endpoint": name})
    if answer is None:
        return 1
    status, document = answer
    if "endpoints" not in document:
        return print_refusal(status, document)
    done = {"drain": "drained", "enable": "enabled"}[action]
    for endpoint in document["endpoints"]:
        sys.stdout.write(f"{done} {endpoint} on {document['active']} of {document['workers']} workers\n")
    return 0


def _print_outcome(status: int, outcome: Document) -> int:
    if outcome.get("ok"):
        sys.stdout.write("config {generation} active on {active} of {workers} workers\n".format_map(outcome))
        return 0
    if "ok" not in outcome:
        return print_refusal(status, outcome)
    for one in outcome["problems"]:
        problem = Problem(Place(one["file"], one["line"], one["column"]), one["path"], one["message"])
        sys.stderr.write(f"{problem}\n")
    for name in outcome["static"]:
        sys.stderr.write(f"{name}: can't be changed by a reload; restart the gateway to change it\n")
    sys.stderr.write("refused: config {generation} stays active\n".format_map(outcome))
    return 1


def _endpoint_row(one: Document) -> list[str]:
    means = [NOTHING if one[name] is None else f"{one[name] * 1000:.0f} ms" for name in ("first_token_s", "answer_s")]
    errors = NOTHING if one["error_rate"] is None else f"{one['error_rate']:.1%}"
    return [one["endpoint"], _state(one), str(one["in_flight"]), *means, errors, ", ".join(one["pools"]) or NOTHING]


def _state(one: Document) -> str:
    """Return "ok", or what keeps the endpoint from taking requests, in a few words."""
    reasons = [
        "drained" * one["is_drained"],
        "key refused" * one["key_refused"],
        "unhealthy" * (not one["is_healthy"]),
        f"resting {one['resting_s']:.0f} s" if one["resting_s"] else "",
        "half-open" if one["state"] == "half_open" else "",
        f"open, {one['retry_in_s']:.0f} s" if one["state"] == "open" else "",
    ]
    return "; ".join(filter(None, reasons)) or "ok"


def _pool_row(one: Document) -> list[str]:
    limit = one["max_inflight"]
    return [one["pool"], str(one["in_flight"]), NOTHING if limit is None else str(limit), str(one["waiting"])]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out columns, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)
    ]
