"""The table of faults: complete, in accord with the errors, the configuration and the page for users."""

from pathlib import Path
from typing import Final, get_args

import pytest

from gateway.core import errors
from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    EventLoopLate,
    GatewayError,
    Overloaded,
    QueueFull,
    QueueTimeout,
    QuotaUsedUp,
    Rejected,
    StillWarming,
    StreamFailed,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from gateway.core.faults import EFFECTS, Effect, Fault, RetryWord

PAGE: Final = Path(__file__).parents[3] / "docs/faults.md"

ALWAYS: Final = frozenset(  # no word is needed
    {Fault.CREDENTIAL, Fault.QUOTA, Fault.MODEL_GONE, Fault.CONTEXT_LENGTH, Fault.WARMING, Fault.UNTRANSLATABLE}
)
NEVER: Final = frozenset({Fault.INTERRUPTED, Fault.TOTAL, Fault.REJECTED})


def upstream_errors() -> list[type[UpstreamError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UpstreamError)]
    return sorted(kinds, key=lambda kind: kind.__name__)


def row(fault: Fault) -> list[str]:
    """Return the cells of a class on the page."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{fault}` |")]
    assert len(lines) == 1, fault
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def shown(fault: Fault, effect: Effect) -> list[str]:
    """Return the cells that a class must have on the page, but for its name and what it looks like."""
    word = f"`{effect.retry_word}`" if effect.retry_word else "always" if effect.failover != "no" else "never"
    others = {"yes": "yes", "no": "no", "bigger_window": "a bigger window", "if_configured": "if configured"}
    return [
        word,
        "yes" if effect.same_endpoint else "no",
        others[effect.failover],
        "counts" if effect.hurts_breaker else "–",
    ]


def test_every_fault_has_its_effects() -> None:
    assert set(EFFECTS) == set(Fault)


def test_the_page_for_users_is_the_table() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Fault)
    for fault, effect in EFFECTS.items():
        _, _, *cells, client = row(fault)
        assert cells == shown(fault, effect), fault
        assert client.startswith(str(effect.status) if effect.status else "the provider's status"), fault


def test_the_words_are_those_of_the_configuration_and_each_allows_something() -> None:
    assert {effect.retry_word for effect in EFFECTS.values()} - {None} == set(get_args(RetryWord))


@pytest.mark.parametrize("fault", Fault)
def test_the_effects_of_a_fault_agree_with_each_other(fault: Fault) -> None:
    effect = EFFECTS[fault]
    assert (effect.retry_word is None) == (fault in ALWAYS | NEVER)
    assert (effect.failover == "no") == (fault in NEVER), "what is never tried again is not tried elsewhere"
    if effect.same_endpoint:
        assert effect.retry_word and effect.failover == "yes", "who may be asked twice may be left for another"
    if effect.hurts_breaker and fault is not Fault.INTERRUPTED:
        is_clock = effect.status == 504
        assert effect.same_endpoint is not is_clock, (
            "what passes by itself may be tried there once more, but for a long wait"
        )


def test_what_the_client_or_a_limit_did_hurts_no_breaker() -> None:
    harmless = {fault for fault, effect in EFFECTS.items() if not effect.hurts_breaker}
    limits = {Fault.RATE_LIMITED, Fault.QUOTA, Fault.CREDENTIAL, Fault.MODEL_GONE, Fault.TOTAL, Fault.WARMING}
    rejections = {Fault.REJECTED, Fault.CONTEXT_LENGTH, Fault.CONTENT_POLICY, Fault.TRANSIENT}
    assert harmless == limits | {Fault.UNTRANSLATABLE} | rejections


@pytest.mark.parametrize("kind", upstream_errors())
def test_an_error_gets_the_status_of_its_fault(kind: type[UpstreamError]) -> None:
    status = EFFECTS[kind.fault].status
    if kind is UpstreamTimeout or status is None:  # any clock; the provider's own
        return
    assert kind.status == status


@pytest.mark.parametrize("fault", Fault)
def test_an_error_follows_the_fault_that_it_is_given(fault: Fault) -> None:
    error = UpstreamError("x", fault=fault)
    assert error.fault is fault and error.effect is EFFECTS[fault]
    assert error.hurts_breaker == EFFECTS[fault].hurts_breaker
    assert error.is_retryable == (EFFECTS[fault].failover == "yes")
    assert UpstreamError("x").fault is Fault.SERVER_ERROR, "the class is left as it is"


@pytest.mark.parametrize(
    ("kind", "parent", "fault", "status"),
    [
        (Unavailable, UpstreamError, Fault.SERVER_ERROR, 502),
        (StillWarming, UpstreamTimeout, Fault.WARMING, 504),
        (QuotaUsedUp, UpstreamRateLimited, Fault.QUOTA, 429),
        (ContextTooLong, Rejected, Fault.CONTEXT_LENGTH, 400),
        (ContentRefused, Rejected, Fault.CONTENT_POLICY, 400),
        (StreamFailed, errors.StreamInterrupted, Fault.INTERRUPTED, 502),
    ],
)
def test_particular_errors_are_cases_of_the_general_ones(
    kind: type[UpstreamError], parent: type[UpstreamError], fault: Fault, status: int
) -> None:
    assert issubclass(kind, parent)
    assert (kind.fault, kind.status) == (fault, status)


@pytest.mark.parametrize(
    ("kind", "code"), [(QueueFull, "queue_full"), (QueueTimeout, "queue_timeout"), (EventLoopLate, "event_loop_late")]
)
def test_each_way_to_be_overloaded_has_its_code(kind: type[Overloaded], code: str) -> None:
    error = kind("full", retry_after_s=2.0)
    assert (error.http_status, error.error_code, error.retry_after_s) == (503, code, 2.0)


def test_what_is_no_fault_of_a_provider_is_neither_retried_nor_counted() -> None:
    for error in (GatewayError("x"), errors.ClientStalled("x"), errors.DeadlineExceeded("x"), errors.NoCapacity("x")):
        assert not error.is_retryable and not error.hurts_breaker
