import math

from bench.gates import Gate


def test_a_minimum_is_passed_from_its_bound_up() -> None:
    gate = Gate(name="rate", value=700, bound=700, is_minimum=True)
    assert gate.is_passed
    assert not Gate(name="rate", value=699, bound=700, is_minimum=True).is_passed


def test_a_maximum_is_passed_up_to_its_bound() -> None:
    assert Gate(name="latency", value=15, bound=15).is_passed
    assert not Gate(name="latency", value=15.1, bound=15).is_passed


def test_what_was_not_measured_passes_nothing() -> None:
    assert not Gate(name="latency", value=math.nan, bound=15).is_passed
    assert not Gate(name="rate", value=math.nan, bound=700, is_minimum=True).is_passed


def test_a_target_may_be_missed_where_the_gate_is_passed() -> None:
    gate = Gate(name="latency", value=20, bound=25, target=15)
    assert gate.is_passed
    assert not gate.is_on_target
    assert not Gate(name="latency", value=20, bound=25).is_on_target
