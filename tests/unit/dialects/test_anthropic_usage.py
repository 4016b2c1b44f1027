import msgspec

from gateway.core import usage as core_usage
from gateway.dialects.anthropic_messages.usage import Usage, read_usage, write_usage

TOLD = {
    "input_tokens": 40,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 4},
}
CLASSES = core_usage.Usage(input=40, cached_input=20, cache_write=10, cache_write_1h=20, output=5, reasoning=4)


def test_classes_are_disjoint_and_the_total_holds() -> None:
    found = read_usage(msgspec.convert(TOLD, Usage))
    assert found == CLASSES
    assert (found.total_input, found.total_output) == (90, 9)


def test_what_a_later_report_does_not_say_holds_as_before() -> None:
    later = read_usage(Usage(output_tokens=12), CLASSES)
    assert later == msgspec.structs.replace(CLASSES, output=8)
    assert read_usage(None, CLASSES) == CLASSES
    assert read_usage(Usage(input_tokens=50, output_tokens=12), CLASSES) == msgspec.structs.replace(
        CLASSES, input=50, output=8
    )


def test_nothing_told_is_nothing_known() -> None:
    assert read_usage(None) is None and read_usage(Usage()) is None


def test_no_class_is_below_zero_or_over_its_whole() -> None:
    odd = {"input_tokens": -1, "output_tokens": 3, "cache_creation": {"ephemeral_1h_input_tokens": 7}}
    odd |= {"output_tokens_details": {"thinking_tokens": 9}, "cache_read_input_tokens": -2}
    assert read_usage(msgspec.convert(odd, Usage)) == core_usage.Usage(reasoning=3)


def test_usage_is_written_as_wholes() -> None:
    assert write_usage(
        core_usage.Usage(input=1, audio_in=2, cached_input=3, cache_write=4, cache_write_1h=5, output=6)
    ) == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 9,
        "cache_read_input_tokens": 3,
        "output_tokens": 6,
    }
    assert write_usage(CLASSES)["output_tokens_details"] == {"thinking_tokens": 4}
