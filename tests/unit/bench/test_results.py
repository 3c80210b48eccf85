import math
from pathlib import Path

import msgspec
import pytest

from bench import results
from bench.ledger_view import Account
from bench.machine import Machine
from bench.measuring import Measurement
from bench.plan import DIRECT, LITELLM, Plan, completed, paced
from bench.results import Results


def _measured(milliseconds: int, *, others: float = 0) -> Measurement:
    return Measurement(
        answers=10,
        seconds=2,
        load=0,
        others=others,
        cpu_ms={"gateway": 1, "generator": 5},
        latencies={milliseconds * 1000: 10},
        failures={"status 503": 1} if others else {},
    )


@pytest.fixture
def made() -> Results:
    ours, direct = paced(100), paced(100, DIRECT)
    latencies = ((5, 1), (9, 4), (30, 10))
    return Results(
        measured_on="2026-01-01",
        machine=Machine(
            cores=2,
            processor="x",
            memory_gib=1,
            kernel="6",
            python="3",
            servers={},
            libraries={},
            revision=None,
        ),
        plan=Plan(),
        slow_seconds=0.05,
        peers={LITELLM: "litellm==1"},
        absent={LITELLM: "no such version"},
        peer_memory=[{LITELLM: 1}],
        provider_calls=1,
        rounds=[{ours: _measured(a), direct: _measured(b, others=1)} for a, b in latencies],
        memory=[{"gateway": 1}],
        idle=[{"gateway": 1}],
        account=Account(accepted=1, completed=1, failed=0, live=0, repeated=0, billed=1),
    )


def test_added_latency_is_the_median_of_each_rounds_own_difference(made: Results) -> None:
    assert made.latency(paced(100), 50) == 9
    assert made.added(100, 50) == 5


def test_the_generators_cpu_is_not_the_systems(made: Results) -> None:
    assert made.middle(paced(100), lambda one: one.system_cpu_ms) == 1


def test_wrong_answers_are_added_up_by_measurement_and_kind(made: Results) -> None:
    assert made.failures() == {"direct at 100/s: status 503": 3}


def test_what_is_saved_is_what_was_measured(
    made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    file = results.save(made, "name")
    assert msgspec.json.decode(file.read_bytes(), type=Results) == made
    assert sum("ReqRun at" in line for line in file.read_text().splitlines()) == 3


def test_what_no_round_made_is_not_a_number(made: Results) -> None:
    assert math.isnan(made.per_second("never"))
    assert math.isnan(made.ratio(paced(100), "never", lambda one: one.per_second))


def test_a_ratio_takes_only_rounds_that_made_both(made: Results) -> None:
    lasting = completed(128, LITELLM)
    rounds = [*made.rounds[:2], {**made.rounds[2], lasting: _measured(1)}]
    some = msgspec.structs.replace(made, rounds=rounds)

    assert some.ratio(paced(100), lasting, lambda one: one.per_second) == 1
    assert some.names() == [paced(100), paced(100, DIRECT), lasting]


def test_a_peers_wrong_answers_are_not_ours(made: Results) -> None:
    lasting = completed(128, LITELLM)
    theirs = msgspec.structs.replace(made, rounds=[{lasting: _measured(1, others=1)}])

    assert theirs.failures() == {}
    assert theirs.failures(of_peers=True) == {f"{lasting}: status 503": 1}
