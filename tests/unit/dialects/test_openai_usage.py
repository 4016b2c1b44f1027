import msgspec
import pytest

from gateway.core import usage as core_usage
from gateway.dialects.openai_chat.usage import Usage, read_usage, write_usage

WHOLE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 25, "audio_tokens": 5},
}
CLASSES = core_usage.Usage(input=40, cached_input=30, cache_write=20, audio_in=10, output=20, reasoning=25, audio_out=5)


def test_wholes_are_split_into_disjoint_classes_and_put_together_again() -> None:
    assert read_usage(msgspec.convert(WHOLE, Usage)) == CLASSES
    assert write_usage(CLASSES) == WHOLE


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 9}},
        {"prompt_tokens": -5, "completion_tokens": -3, "prompt_tokens_details": {"cached_tokens": -1}},
    ],
)
def test_no_class_is_below_zero(usage: dict[str, object]) -> None:
    found = read_usage(msgspec.convert(usage, Usage))
    assert found is not None
    assert min(found.input, found.output, found.cached_input, found.reasoning) >= 0


def test_what_is_not_told_is_not_known() -> None:
    assert read_usage(None) is None
    assert read_usage(Usage()) is None


def test_no_class_is_more_than_an_answer_can_have() -> None:
    found = read_usage(Usage(prompt_tokens=10**30, completion_tokens=2**64))
    assert found == core_usage.Usage(input=core_usage.MOST_TOKENS, output=core_usage.MOST_TOKENS)
    assert msgspec.json.encode(write_usage(found))
