"""A run's raw figures, and what is made of them: medians over its rounds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.histogram import merged, percentile
from bench.ledger_view import Account
from bench.machine import Machine
from bench.measuring import Measurement
from bench.rounds import Plan, paced

FOLDER = Path(__file__).parent / "results"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a table or a gate is made of.

    `memory` and `idle`: bytes by part, and CPU milliseconds a second of doing nothing, at the end
    of each round. `account`: what the ledger says of all requests; `provider_calls`: what the
    provider says, None where it does not count.
    """

    measured_on: str
    machine: Machine
    plan: Plan
    provider_seconds: float
    rounds: Sequence[Mapping[str, Measurement]]
    memory: Sequence[Mapping[str, int]]
    idle: Sequence[Mapping[str, float]]
    account: Account
    provider_calls: int | None = None

    def middle(self, name: str, of: Callable[[Measurement], float]) -> float:
        """The median over the rounds."""
        return median(of(made[name]) for made in self.rounds)

    def ratio(self, one: str, other: str, of: Callable[[Measurement], float]) -> float:
        """The median of the rounds' own ratios: what disturbs a round disturbs both."""
        return median(of(made[one]) / of(made[other]) for made in self.rounds)

    def latency(self, name: str, percent: float) -> float:
        """Milliseconds, median over the rounds."""
        return self.middle(name, lambda made: percentile(made.latencies, percent))

    def added(self, rate: float, percent: float) -> float:
        """Milliseconds more than direct, each round's own difference, median over the rounds."""
        ours, direct = paced(rate, is_direct=False), paced(rate, is_direct=True)
        return median(
            percentile(made[ours].latencies, percent) - percentile(made[direct].latencies, percent)
            for made in self.rounds
        )

    def whole_latency(self, name: str, percent: float) -> float:
        """Milliseconds over all rounds together, for percentiles that need many answers."""
        return percentile(merged(made[name].latencies for made in self.rounds), percent)

    def cpu(self, name: str) -> dict[str, float]:
        """Milliseconds per answer by part, medians."""
        parts = list(dict.fromkeys(part for made in self.rounds for part in made[name].cpu_ms))
        return {
            part: median(made[name].cpu_ms.get(part, 0) for made in self.rounds) for part in parts
        }

    def others(self) -> float:
        """Cores that others kept busy: the median over all measurements."""
        return median(made.others for round_ in self.rounds for made in round_.values())

    def failures(self) -> dict[str, int]:
        """Wrong answers by measurement and kind; empty in a valid run."""
        found: dict[str, int] = {}
        for name, measurement in (pair for made in self.rounds for pair in made.items()):
            for kind, count in measurement.failures.items():
                key = f"{name}: {kind}"
                found[key] = found.get(key, 0) + count
        return found


def save(results: Results, name: str) -> Path:
    """Write it, a line for each measurement, so that a difference can be read; the file."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.json"
    parts = msgspec.to_builtins(results, str_keys=True)
    parts["rounds"] = []
    head = msgspec.json.format(msgspec.json.encode(parts), indent=1).decode()
    rounds = ",\n".join(_round(made) for made in results.rounds)
    file.write_text(head.replace('"rounds": []', f'"rounds": [\n{rounds}\n ]') + "\n")
    return file


def _round(made: Mapping[str, Measurement]) -> str:
    lines = (
        f'  "{name}": {msgspec.json.encode(measurement).decode()}'
        for name, measurement in made.items()
    )
    return " {\n" + ",\n".join(lines) + "\n }"
