import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.unsupported_params import UnsupportedParams, untranslatable


def test_a_parameter_without_a_counterpart_is_refused_by_the_name_that_the_client_knows() -> None:
    unsupported = UnsupportedParams(names={"output": "response_format"})
    with pytest.raises(InvalidRequest, match="response_format can't be translated") as caught:
        unsupported.drop("output", "no such thing")
    assert (caught.value.param, caught.value.error_code) == ("response_format", "unsupported_parameter")
    assert unsupported.dropped == []


def test_where_parameters_may_be_dropped_each_is_noted() -> None:
    unsupported = UnsupportedParams(drops_params=True, names={"output": "response_format"})
    unsupported.drop("output")
    unsupported.drop("seed")
    assert unsupported.dropped == ["response_format", "seed"]


def test_content_is_refused_with_its_place() -> None:
    error = untranslatable("messages[0].content[1]", "because")
    assert (error.param, error.http_status) == ("messages[0].content[1]", 400)
    assert error.message.endswith("because")
