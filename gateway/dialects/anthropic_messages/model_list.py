"""Anthropic's lists of models: https://docs.anthropic.com/en/api/models-list"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.core.errors import InvalidRequest

LONGEST_PAGE: Final = 1000
UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"  # for models whose date is unknown


def entry(name: str, context: int | None, max_output: int | None) -> dict[str, Any]:
    """Return one model; `context` and `max_output` in tokens, None if unknown."""
    facts = {"max_input_tokens": context, "max_tokens": max_output}
    known = {fact: value for fact, value in facts.items() if value is not None}
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": UNKNOWN_DATE,
        "lifecycle": "active",
        **known,
    }


def page(entries: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of a list by the `query`: `limit`, and `after_id` or `before_id`; the whole list without a limit.

    Raises `InvalidRequest`.
    """
    ids = [one["id"] for one in entries]
    limit = _limit(query.get("limit"))
    if (before := query.get("before_id")) is not None:
        end = _index(ids, before, "before_id")
        start = max(0, end - limit)
        has_more = start > 0
    else:
        after = query.get("after_id")
        start = 0 if after is None else _index(ids, after, "after_id") + 1
        end = start + limit
        has_more = end < len(ids)
    shown = entries[start:end]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": list(shown), "has_more": has_more, "first_id": first, "last_id": last}


def _limit(text: str | None) -> int:
    if text is None:
        return LONGEST_PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LONGEST_PAGE):
        raise InvalidRequest(f"limit must be a whole number from 1 to {LONGEST_PAGE}", param="limit")
    return int(text)


def _index(ids: Sequence[str], id: str, param: str) -> int:
    if id not in ids:
        raise InvalidRequest(f"{param} is not the id of a model in this list", param=param)
    return ids.index(id)
