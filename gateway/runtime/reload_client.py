"""`gateway reload`: ask the running gateway to read its configuration again."""

import sys
from pathlib import Path

from gateway.core.problem import Place, Problem
from gateway.runtime.control_client import Document, ask, refused


def reload(config_path: Path) -> int:
    """Reload the gateway that runs with this file and print the outcome; gives the exit code."""
    answer = ask(config_path, "POST", "/admin/reload")
    return 1 if answer is None else _print(*answer)


def _print(status: int, outcome: Document) -> int:
    if outcome.get("ok"):
        sys.stdout.write("config {generation} active on {active} of {workers} workers\n".format_map(outcome))
        return 0
    if "ok" not in outcome:
        return refused(status, outcome)
    for one in outcome["problems"]:
        problem = Problem(Place(one["file"], one["line"], one["column"]), one["path"], one["message"])
        sys.stderr.write(f"{problem}\n")
    for name in outcome["static"]:
        sys.stderr.write(f"{name}: can't be changed by a reload; restart the gateway to change it\n")
    sys.stderr.write("refused: config {generation} stays active\n".format_map(outcome))
    return 1
