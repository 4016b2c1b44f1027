"""Token counts, both ways."""

from gateway.core.usage import Usage
from gateway.dialects.openai_responses import usage as openai_responses_usage


def test_usage_is_read_in_disjoint_classes_and_written_as_wholes() -> None:
    reported = openai_responses_usage.Usage(
        100,
        50,
        openai_responses_usage._InputDetails(cached_tokens=60, cache_write_tokens=10),
        openai_responses_usage._OutputDetails(reasoning_tokens=20),
    )
    usage = openai_responses_usage.read_usage(reported)
    assert usage == Usage(input=30, cached_input=60, cache_write=10, output=30, reasoning=20)
    written = openai_responses_usage.write_usage(usage)
    assert (written["input_tokens"], written["output_tokens"], written["total_tokens"]) == (100, 50, 150)
    assert openai_responses_usage.read_usage(None) is None
    assert openai_responses_usage.read_usage(openai_responses_usage.Usage()) is None
