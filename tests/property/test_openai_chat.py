"""A provider receives the client's request, except for the model's name and `include_usage`."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.dialects.openai_chat import decode_request, encode_request

SPACE = st.sampled_from(["", "", " ", "\n", "\t ", "\r\n"])
NAMES = st.one_of(
    st.sampled_from(["model", "Model", "messages", "usage", "stream_options", "é", "\u2028", "a.b", ""]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
READ = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "n",
    "tools",
}
READ |= {"functions"}
NUMBERS = st.sampled_from(
    ["0", "-0", "1.0", "1.50", "1e5", "1E-7", "12345678901234567890123", "-1.7976931348623157e308", "0.1e1"]
)


@st.composite
def strings(draw: st.DrawFn, text: str | None = None) -> str:
    """Return a string as JSON, with some characters escaped unnecessarily."""
    text = draw(NAMES) if text is None else text
    spelled = []
    for character in text:
        if character < " " or character in '"\\' or draw(st.integers(0, 4)) == 0:
            units = character.encode("utf-16-be")
            spelled += [f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)]
        else:
            spelled.append(character)
    return '"' + "".join(spelled) + '"'


VALUES = st.recursive(
    st.one_of(strings(), NUMBERS, st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[ " + ",".join(values) + "]"),
        st.lists(st.tuples(strings(), inner), max_size=3).map(
            lambda pairs: "{" + " ,".join(f"{name}:{value}" for name, value in pairs) + " }"
        ),
    ),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a request with unknown fields in any spelling and any order, some of them repeated."""
    fields = [
        (draw(strings("model")), draw(strings(draw(st.sampled_from(["m", "gpt-4o", 'é"']))))),
        (draw(strings("messages")), '[{"role": "user" ,"content":' + draw(strings("model")) + "}]"),
    ]
    if draw(st.booleans()):
        fields.append((draw(strings("stream")), draw(st.sampled_from(["true", "false", "null"]))))
    if draw(st.booleans()):
        options = ["null", "{}", '{"include_usage":false}', '{"include_usage" : true}', '{ "x":1.0}']
        fields.append((draw(strings("stream_options")), draw(st.sampled_from(options))))
    for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4, unique_by=lambda pair: pair[0])):
        if name not in READ:
            fields.append((draw(strings(name)), value))
    fields = draw(st.permutations(fields))
    text = ",".join(draw(SPACE) + name + draw(SPACE) + ":" + draw(SPACE) + value for name, value in fields)
    return (draw(SPACE) + "{" + text + draw(SPACE) + "}" + draw(SPACE)).encode()


def read(body: bytes) -> Any:
    """Read JSON so that numbers that are written differently differ, and the order of names counts."""
    return json.loads(body, parse_int=str, parse_float=str, object_pairs_hook=lambda pairs: list(dict(pairs).items()))


def fields_of(body: bytes) -> dict[str, Any]:
    return dict(read(body))


@given(bodies(), st.sampled_from(["m", "gpt-4o", "other", 'a"\\\u2028']))
def test_only_the_model_and_the_wish_for_usage_differ(body: bytes, model: str) -> None:
    request = decode_request(body)
    sent = encode_request(request, model)
    before, after = fields_of(body), fields_of(sent)
    assert after.pop("model") == model
    assert before.pop("model") == request.model
    options_before, options_after = before.pop("stream_options", None), after.pop("stream_options", None)
    assert list(after.items()) == list(before.items()), "nothing lost, nothing changed, in the same order"
    if request.stream and not request.wants_usage:
        assert dict(options_after) == dict(options_before or []) | {"include_usage": True}
    else:
        assert options_after == options_before
    if model == request.model and (not request.stream or request.wants_usage):
        assert sent == body


@given(bodies(), st.integers(0, 10**6), st.binary(max_size=3))
def test_any_bytes_are_a_request_or_refused(body: bytes, at: int, noise: bytes) -> None:
    at %= len(body)
    try:
        request = decode_request(body[:at] + noise + body[at + len(noise) :])
        encode_request(request, "other")
    except InvalidRequest as error:
        assert error.http_status == 400


@given(st.binary(max_size=40) | VALUES.map(str.encode))
def test_anything_at_all_is_answered(body: bytes) -> None:
    try:
        decode_request(body)
    except InvalidRequest as error:
        assert error.http_status == 400
