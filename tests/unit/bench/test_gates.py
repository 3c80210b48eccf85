import math
from pathlib import Path

import msgspec
import pytest

from bench.gates import Gate, judge
from bench.measuring import Measurement
from bench.plan import DIRECT, PORTKEY, paced
from bench.results import Results

COMMITTED = Path(__file__).parents[3] / "bench" / "results" / "2-cores.json"


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


def _took(milliseconds: int) -> Measurement:
    return Measurement(answers=1, seconds=1, load=0, others=0, latencies={milliseconds * 1_000: 1})


@pytest.mark.parametrize("slower", [1, 2, 3])
def test_a_slow_machine_misses_no_bound_that_is_relative(slower: int) -> None:
    """All took so many times what they would elsewhere."""
    _expect(ours=8 * slower, theirs=2 * slower, is_passed=True)


def test_a_slow_product_misses_it_on_any_machine() -> None:
    _expect(ours=20, theirs=2, is_passed=False)


def _expect(ours: int, theirs: int, *, is_passed: bool) -> None:
    committed = msgspec.json.decode(COMMITTED.read_bytes(), type=Results)
    made = {paced(200): _took(ours), paced(200, PORTKEY): _took(theirs)}
    made[paced(200, DIRECT)] = _took(1)
    gates = {gate.name: gate for gate in judge(msgspec.structs.replace(committed, rounds=[made]))}

    gate = gates["latency at 200/s, p50 ÷ Portkey's"]

    assert gate.value == pytest.approx(ours / theirs)
    assert gate.is_passed is is_passed
