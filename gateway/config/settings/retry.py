"""`retry`: further attempts within one pool."""

from dataclasses import dataclass
from typing import Final, get_args

from gateway.config.definitions import mapping_or_none, ref, whole_number
from gateway.config.names import Names
from gateway.config.read import Reader
from gateway.config.section import Setting
from gateway.core.faults import RetryWord


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """At most `attempts` in one pool, the first included, for faults that `when` names.

    `budget`: attempts beyond the first, as a share of the pool's requests. `retry_after_cap_s`: the longest wait that a
    provider may ask for and get. Pauses before the same endpoint is asked again grow from `backoff_s` to `backoff_cap_s`.
    """

    attempts: int = 3
    when: tuple[RetryWord, ...] = ("connect", "first_token", "rate_limited", "server_error")
    retry_after_cap_s: float = 20.0
    budget: float = 0.2
    backoff_s: float = 0.1
    backoff_cap_s: float = 2.0


def check_retries(reader: Reader, names: Names) -> None:
    """Refuse a `backoff` that is longer than its `backoff_cap`, at the level that sets one of them."""
    general = names.defaults.get("retry")
    for trail, retry in names.at_levels(RETRY.key, RETRY.levels):
        if not isinstance(retry, dict):
            continue
        both = {"backoff": RetrySpec().backoff_s, "backoff_cap": RetrySpec().backoff_cap_s}
        both |= {**(general if isinstance(general, dict) else {}), **retry}
        backoff, longest = both["backoff"], both["backoff_cap"]
        if not isinstance(backoff, float) or not isinstance(longest, float) or backoff <= longest:
            continue
        if "backoff" in retry:
            message = f"is longer than backoff_cap, which is {longest:g}s; pauses grow from backoff to backoff_cap"
            reader.complain((*trail, "retry", "backoff"), message)
        elif "backoff_cap" in retry:
            message = f"is shorter than backoff, which is {backoff:g}s; pauses grow from backoff to backoff_cap"
            reader.complain((*trail, "retry", "backoff_cap"), message)


_ABOUT: Final = "Further attempts within a pool; `none`: one attempt in each pool."

RETRY: Final = Setting(
    key="retry",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "attempts": whole_number(3, "attempts in one pool, the first included"),
            "when": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"enum": list(get_args(RetryWord))},
                "default": ["connect", "first_token", "rate_limited", "server_error"],
                "description": "faults after which another attempt is made",
            },
            "retry_after_cap": ref("positive_duration", "the longest wait that a provider may ask for", default="20s"),
            "budget": ref(
                "share",
                "while nothing answers: attempts beyond the first, as a share of the pool's requests",
                default="20%",
            ),
            "backoff": ref(
                "positive_duration",
                "longest pause before the next attempt at the same endpoint; it doubles each time",
                default="100ms",
            ),
            "backoff_cap": ref("positive_duration", "what that pause grows to at most", default="2s"),
        },
        _ABOUT,
    ),
    levels=("defaults", "provider", "model", "pool", "route", "path_route"),
    spec=RetrySpec,
    checks=(check_retries,),
)
