"""What several workers say becomes one picture."""

from gateway.runtime.overview import worst_circuits


def test_the_worst_state_of_each_circuit_shows() -> None:
    parts = [
        {"a": "closed", "b": "half_open", "c": "closed"},
        {"a": "half_open", "b": "open", "d": "open"},
        {"b": "closed", "c": "closed"},
    ]
    assert worst_circuits(parts) == {"a": "half_open", "b": "open", "c": "closed", "d": "open"}


def test_without_workers_there_are_no_circuits() -> None:
    assert worst_circuits([]) == {}
