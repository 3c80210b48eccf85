"""A run's raw figures, and what is made of them: medians over its rounds."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from statistics import median

import msgspec

from bench.histogram import merged, percentile
from bench.ledger_view import Account
from bench.machine import Machine
from bench.measuring import Measurement
from bench.plan import CELERY, DIRECT, LITELLM, PORTKEY, Plan, paced

FOLDER = Path(__file__).parent / "results"
_PEERS = (LITELLM, PORTKEY, CELERY)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a table, a plot or a gate is made of.

    `memory` and `idle`: bytes by part, and CPU milliseconds a second of doing nothing, at the end
    of each round; `peer_memory`: of peers' parts. `peers`: those that were wanted, with their
    versions; `absent`: why some of them were not measured, or not to the end. `account`: what the
    ledger says of all requests; `provider_calls`: what the providers say.
    """

    measured_on: str
    machine: Machine
    plan: Plan
    slow_seconds: float
    peers: Mapping[str, str] = msgspec.field(default_factory=dict)
    absent: Mapping[str, str] = msgspec.field(default_factory=dict)
    rounds: Sequence[Mapping[str, Measurement]]
    memory: Sequence[Mapping[str, int]]
    peer_memory: Sequence[Mapping[str, int]] = ()
    idle: Sequence[Mapping[str, float]]
    account: Account
    provider_calls: int

    def names(self) -> list[str]:
        """All measurements, in the order they are made in a round."""
        return list(dict.fromkeys(name for made in self.rounds for name in made))

    def all_of(self, name: str) -> list[Measurement]:
        """One measurement of each round that made it."""
        return [made[name] for made in self.rounds if name in made]

    def middle(self, name: str, of: Callable[[Measurement], float]) -> float:
        """The median over the rounds; NaN when none made it."""
        return _median([of(made) for made in self.all_of(name)])

    def per_second(self, name: str) -> float:
        """Answers a second, median."""
        return self.middle(name, lambda made: made.per_second)

    def ratio(self, one: str, other: str, of: Callable[[Measurement], float]) -> float:
        """The median of the rounds' own ratios: what disturbs a round disturbs both.

        Rounds without one of them, or where `other` came to nought, do not count.
        """
        pairs = [
            (of(made[one]), of(made[other])) for made in self.rounds if {one, other} <= made.keys()
        ]
        return _median([ours / theirs for ours, theirs in pairs if theirs])

    def latency(self, name: str, percent: float) -> float:
        """Milliseconds, median over the rounds."""
        return self.middle(name, lambda made: percentile(made.latencies, percent))

    def added(self, rate: float, percent: float, *, is_slow: bool = False) -> float:
        """Milliseconds more than direct, each round's own difference, median over the rounds."""
        ours, direct = paced(rate, is_slow=is_slow), paced(rate, DIRECT, is_slow=is_slow)
        return _median(
            [
                percentile(made[ours].latencies, percent)
                - percentile(made[direct].latencies, percent)
                for made in self.rounds
                if {ours, direct} <= made.keys()
            ]
        )

    def whole_latency(self, name: str, percent: float) -> float:
        """Milliseconds over all rounds together, for percentiles that need many answers."""
        return percentile(merged(made.latencies for made in self.all_of(name)), percent)

    def cpu(self, name: str) -> dict[str, float]:
        """Milliseconds per answer by part, medians."""
        made = self.all_of(name)
        parts = dict.fromkeys(part for one in made for part in one.cpu_ms)
        return {part: median(one.cpu_ms.get(part, 0) for one in made) for part in parts}

    def others(self) -> float:
        """Cores that others kept busy: the median over all measurements."""
        return median(made.others for round_ in self.rounds for made in round_.values())

    def failures(self, *, of_peers: bool = False) -> dict[str, int]:
        """Wrong answers by measurement and kind, of us or of peers; ours empty in a valid run."""
        found: dict[str, int] = {}
        for name, measurement in (pair for made in self.rounds for pair in made.items()):
            if name.startswith(_PEERS) != of_peers:
                continue
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


def _median(values: Sequence[float]) -> float:
    return median(values) if values else nan


def _round(made: Mapping[str, Measurement]) -> str:
    lines = (
        f'  "{name}": {msgspec.json.encode(measurement).decode()}'
        for name, measurement in made.items()
    )
    return " {\n" + ",\n".join(lines) + "\n }"
