"""The language of the simulator's model names."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.simulator_behaviour import SIMULATE_SCHEMA, Behaviour, behaviour_of, simulated_model_id


def test_settings_become_a_name_in_the_order_of_the_table() -> None:
    settings = {
        "cut_after": 20,
        "first": 0.3,
        "tokens": 200,
        "error_share": 0.1,
        "rate": 50.0,
        "error": 503,
        "crlf": True,
    }
    assert simulated_model_id(settings) == "sim-tokens200-first0.3s-rate50-crlf-error_share10%-error503-cut_after20"


def test_no_settings_and_defaults_are_the_plain_name() -> None:
    assert simulated_model_id({}) == "sim"
    assert simulated_model_id({"tokens": 16, "gzip": False}) == "sim"


def test_a_name_is_read_with_units() -> None:
    behaviour = behaviour_of("sim-tokens2k-first300ms-head1.5s-rate0.5-error_share12.5%-cut_head")
    assert behaviour == Behaviour(tokens=2000, first=0.3, head=1.5, rate=0.5, error_share=0.125, cut_head=True)


def test_a_name_of_another_family_behaves_plainly() -> None:
    assert behaviour_of("gpt-4o-mini") == Behaviour()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sim-tokenz5", "model 'sim-tokenz5': no field 'tokenz5'"),
        ("sim-", "model 'sim-': no field ''"),
        ("sim-tokens", "model 'sim-tokens': field 'tokens' is written as in tokens20"),
        ("sim-tokens1.5", "model 'sim-tokens1.5': field 'tokens' is written as in tokens20"),
        ("sim-first3", "model 'sim-first3': field 'first' is written as in first0.3s"),
        ("sim-crlf1", "model 'sim-crlf1': field 'crlf' is written as in crlf"),
        ("sim-error200", "model 'sim-error200': field 'error' is 300 to 599 (got 200)"),
        ("sim-chunk0", "model 'sim-chunk0': field 'chunk' is 1 to 1000000000 (got 0)"),
        ("sim-seed1-seed2", "model 'sim-seed1-seed2': field 'seed' occurs twice"),
    ],
)
def test_a_wrong_field_is_refused_with_what_would_be_right(name: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        behaviour_of(name)
    assert str(caught.value) == message


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(300, 599),
    "duration": st.integers(0, 10**7).map(lambda thousandths: thousandths / 1000),
    "rate": st.integers(1, 10**6).map(lambda thousandths: thousandths / 1000),
    "share": st.integers(0, 1000).map(lambda thousandths: thousandths / 1000),
    "flag": st.booleans(),
}


@given(st.fixed_dictionaries({}, optional={one.name: VALUES[one.metadata["kind"]] for one in fields(Behaviour)}))
def test_every_name_reads_back_as_the_settings_it_was_made_of(settings: dict[str, Any]) -> None:
    settings.pop("tools", None)  # at most 64
    read = behaviour_of(simulated_model_id(settings))
    for name, value in settings.items():
        assert getattr(read, name) == pytest.approx(value)


def test_a_share_is_met_exactly_and_evenly() -> None:
    tenth = Behaviour(error_share=0.1)
    assert [number for number in range(1, 41) if tenth.fails(number)] == [10, 20, 30, 40]
    assert sum(Behaviour(error_share=0.6).fails(number) for number in range(1, 1001)) == 600
    assert not any(Behaviour(error_share=0.0).fails(number) for number in range(1, 100))
    assert all(Behaviour(error=500).fails(number) for number in range(1, 100))


def test_requests_outside_the_share_keep_pace_and_lose_faults() -> None:
    behaviour = behaviour_of("sim-tokens5-rate9-crlf-error503-cut_after2-stall_head")
    assert behaviour.without_faults() == Behaviour(tokens=5, rate=9.0, crlf=True)


def test_every_setting_has_a_schema_with_a_description() -> None:
    assert list(SIMULATE_SCHEMA) == [one.name for one in fields(Behaviour)]
    assert all(schema["description"] for schema in SIMULATE_SCHEMA.values())
    assert SIMULATE_SCHEMA["first"]["$ref"] == "#/$defs/duration"
    assert SIMULATE_SCHEMA["rate"]["$ref"] == "#/$defs/rate"
    assert SIMULATE_SCHEMA["error_share"]["$ref"] == "#/$defs/share"
    assert SIMULATE_SCHEMA["error"]["minimum"] == 300
    assert SIMULATE_SCHEMA["crlf"]["type"] == "boolean"


def test_every_setting_stands_in_the_page_with_a_name_that_can_be_read() -> None:
    page = Path(__file__).parents[3] / "docs" / "simulator.md"
    rows = [
        row.split(" | ") for row in page.read_text().splitlines() if row.startswith("| `") and row.count(" | ") == 3
    ]
    assert [row[0].strip("| `") for row in rows] == [one.name for one in fields(Behaviour)]
    for one, (_, name, _, about) in zip(fields(Behaviour), rows, strict=True):
        assert about.removesuffix(" |") == one.metadata["about"]
        assert getattr(behaviour_of("sim-" + name.strip("`")), one.name) != one.default
