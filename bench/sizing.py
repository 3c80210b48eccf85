"""The tables of docs/scaling.md, from the committed results: `python -m bench.sizing` writes them.

What a rate takes is arithmetic: the measured CPU of a request at the rate that one gateway has
then. A process with little to do makes small batches, and these cost more (bench/README.md).
"""

import sys
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Final

import msgspec

from bench.plan import completed_signed, paced
from bench.results import FOLDER, Results
from bench.scale.__main__ import Scale
from bench.scale.costs import VERBS

PAGE: Final = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN: Final = "<!-- made by `python -m bench.sizing`: {} -->"
END: Final = "<!-- end -->"

RATES: Final = (100, 1_000, 10_000, 100_000)
PACED: Final = (50, 200, 400, 800)
"""Requests a second of one gateway that were measured; the last keeps it 60 % busy or so."""
ALONE: Final = 200
"""Where batches are still of one; at 50/s what it costs to do nothing weighs in."""
NODE_CORES: Final = 8
FEWEST_GATEWAYS: Final = 3
CALLS_A_POD: Final = 192
"""What the scaler wants of one executor (deploy/k8s/components/autoscaling/executors.yaml)."""
CALL_SECONDS: Final = 10
BUSY: Final = 0.6
_REPLICATED: Final = ("postgresql", "rabbitmq")
_NODES: Final = 3
_PARTS: Final = (
    *("gateway", "executor", "dispatcher", "accounts", "billing"),
    *(*_REPLICATED, "redis"),
)
_NAMES: Final = {"postgresql": "PostgreSQL", "rabbitmq": "RabbitMQ", "redis": "Redis"}
_DAY: Final = 86_400


def load() -> tuple[Results, list[Scale]]:
    """What is committed: the benchmark's, and that of request beside many others."""
    results = (FOLDER / "2-cores.json").read_bytes()
    scales = (FOLDER / "scale-2-cores.json").read_bytes()
    return msgspec.json.decode(results, type=Results), msgspec.json.decode(scales, type=list[Scale])


def tables(results: Results, scales: Sequence[Scale]) -> dict[str, str]:
    """Markdown by the name that stands in the page."""
    return {
        "cpu": _cpu(results),
        "cores": _cores(results),
        "disk": _disk(stored_bytes(scales)),
        "buffers": _buffers(scales),
    }


def put(page: str, made: Mapping[str, str]) -> str:
    """The page with these tables. Raises ValueError where it has no place for one."""
    for name, table in made.items():
        begin = BEGIN.format(name)
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"{begin} is not in the page")
        page = f"{before}{begin}\n\n{table}\n{END}{rest.partition(END)[2]}"
    return page


def gateways(rate: int) -> int:
    """How many, so that none has more than what was measured."""
    return max(FEWEST_GATEWAYS, ceil(rate / PACED[-1]))


def like(rate: int) -> int:
    """The measured rate that a gateway's share of `rate` is taken for."""
    return next(one for one in PACED if one >= rate / gateways(rate))


def busy_cores(results: Results, rate: int) -> dict[str, float]:
    """Cores by part at this rate."""
    cpu = results.cpu(paced(like(rate)))
    return {part: cpu[part] * rate / 1_000 for part in _PARTS}


def stored_bytes(scales: Sequence[Scale]) -> float:
    """On the ledger's disk for each request that is kept, with its indexes."""
    few, many = scales[0], scales[-1]
    return (many.database_bytes - few.database_bytes) / (many.rows - few.rows)


def _cpu(results: Results) -> str:
    columns = {f"{rate}/s": paced(rate) for rate in PACED} | {"full": completed_signed(128)}
    by = {head: results.cpu(name) for head, name in columns.items()}
    rows = [[_NAMES.get(p, p), *(f"{cpu[p]:.2f}" for cpu in by.values())] for p in _PARTS]
    sums = [f"**{sum(cpu[part] for part in _PARTS):.2f}**" for cpu in by.values()]
    accepted = [results.middle(n, lambda m: m.batches["gateway accept"]) for n in columns.values()]
    finished = [results.middle(n, lambda m: m.batches["executor finish"]) for n in columns.values()]
    return _table(
        ["CPU-ms a request", *columns],
        [
            *rows,
            ["**all**", *sums],
            ["items a batch: accept", *(f"{size:.1f}" for size in accepted)],
            ["items a batch: finish", *(f"{size:.1f}" for size in finished)],
        ],
    )


def _cores(results: Results) -> str:
    heads = ["requests a second", *(_number(rate) for rate in RATES)]
    busy = [busy_cores(results, rate) for rate in RATES]
    others = ("dispatcher", "accounts", "billing")
    each = sum(results.cpu(paced(ALONE))[part] for part in _PARTS)
    alone = [each * rate / 1_000 for rate in RATES]
    to_have = [
        (sum(one.values()) + (_NODES - 1) * sum(one[part] for part in _REPLICATED)) / BUSY
        for one in busy
    ]
    return _table(
        heads,
        [
            ["gateways", *(str(gateways(rate)) for rate in RATES)],
            ["CPU taken from the column", *(f"{like(rate)}/s" for rate in RATES)],
            ["cores busy: gateways", *(f"{one['gateway']:.1f}" for one in busy)],
            ["executors", *(f"{one['executor']:.1f}" for one in busy)],
            ["dispatchers, accounts, billing", *(_sum(one, others) for one in busy)],
            ["PostgreSQL, the primary", *(f"{one['postgresql']:.1f}" for one in busy)],
            ["RabbitMQ", *(f"{one['rabbitmq']:.1f}" for one in busy)],
            ["Redis", *(f"{one['redis']:.1f}" for one in busy)],
            ["**cores busy**", *(f"**{sum(one.values()):.0f}**" for one in busy)],
            ["cores busy, were all batches of one", *(_number(round(one)) for one in alone)],
            ["**cores to have**", *(f"**{_number(ceil(cores))}**" for cores in to_have)],
            [f"nodes of {NODE_CORES} cores", *(_number(_nodes(cores)) for cores in to_have)],
            ["calls under way", *(_number(rate * CALL_SECONDS) for rate in RATES)],
            ["executors for them", *(_number(_pods(rate)) for rate in RATES)],
        ],
    )


def _disk(each: float) -> str:
    daily = [each * rate * _DAY for rate in RATES]
    return _table(
        ["requests a second", *(_number(rate) for rate in RATES)],
        [
            ["rows a day", *(f"{_number(rate * _DAY // 10**6)} million" for rate in RATES)],
            ["ledger a day", *(f"{_number(round(one / 1e9))} GB" for one in daily)],
            ["thirty days of it", *(f"{_number(round(one * 30 / 1e9))} GB" for one in daily)],
        ],
    )


def _buffers(scales: Sequence[Scale]) -> str:
    """The worse plans of each."""
    rows = []
    for count in dict.fromkeys(scale.rows for scale in scales):
        beside = [scale for scale in scales if scale.rows == count]
        for name, each in (
            ("in a batch", [scale.buffers for scale in beside]),
            ("alone", [scale.alone for scale in beside]),
        ):
            worst = [max(one[verb] for one in each) for verb in VERBS]
            figures = [f"{of:.0f}" for of in (*worst, sum(worst))]
            rows.append([f"{_number(count)}, {name}", *figures])
    return _table(["requests kept, a request comes", *VERBS, "all"], rows)


def _pods(rate: int) -> int:
    return ceil(rate * CALL_SECONDS / CALLS_A_POD)


def _nodes(cores: float) -> int:
    return max(_NODES, ceil(cores / NODE_CORES))


def _sum(cores: Mapping[str, float], parts: Sequence[str]) -> str:
    return f"{sum(cores[part] for part in parts):.1f}"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *["--:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ruler, *rows))


def main() -> int:
    """Write the tables anew."""
    PAGE.write_text(put(PAGE.read_text("utf-8"), tables(*load())), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
