"""`python -m bench.scale`: shared buffers of a request beside few rows and beside many."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import msgspec
from rich.console import Console

from bench.gates import Gate
from bench.report import gate_table
from bench.results import FOLDER
from bench.scale.costs import ALONE, BATCH, VERBS, Costs, Wrong
from bench.scale.fill import fill, keep_plans, renew_plans
from bench.site import run_folder
from deploy.local import databases
from deploy.local.processes import MIGRATIONS
from deploy.local.programs import ProgramFailed, run_once
from deploy.local.stack import Stack

_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
_BOUND, _TARGET = 1.3, 1.15
_DATABASE = "requests"
_BYTES = f"SELECT pg_database_size('{_DATABASE}')"
_GIBIBYTE = 2**30

Buffers = Mapping[str, float]
"""Of one request, by verb."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Buffers a request by verb, beside so many rows in each table; `minutes` to fill them.

    `buffers`: in batches of 32, `alone`: one at a time. `has_new_plans`: made of the tables as they
    are; else of the empty ones that they were.
    """

    rows: int
    has_new_plans: bool = False
    buffers: Buffers
    alone: Buffers
    database_bytes: int
    minutes: float


def main(arguments: list[str]) -> int:
    """The process's exit code: 0 when the ratio's gate is passed."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with run_folder() as folder:
            made = _measure(folder, given.rows, given.requests)
    except (ProgramFailed, Wrong) as failure:
        _CONSOLE.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    gates = judge(made)
    _CONSOLE.print(gate_table(gates))
    if given.name:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{given.name}.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"
        )
    return 0 if all(gate.is_passed for gate in gates) else 1


def judge(made: Sequence[Scale]) -> list[Gate]:
    """Most rows against fewest, with the worse plans: all verbs together bind; each is shown."""
    most = [one for one in made if one.rows == made[-1].rows]
    rows = f"{made[-1].rows:,} rows ÷ {made[0].rows:,}"
    return [
        *_judge("a request", rows, made[0].buffers, [one.buffers for one in most]),
        *_judge("a request alone", rows, made[0].alone, [one.alone for one in most]),
    ]


def _judge(what: str, rows: str, few: Buffers, most: Sequence[Buffers]) -> list[Gate]:
    many = {verb: max(one[verb] for one in most) for verb in VERBS}
    whole = max(sum(one.values()) for one in most) / sum(few.values())
    return [
        Gate(name=f"shared buffers of {what}, {rows}", value=whole, bound=_BOUND, target=_TARGET),
        *(
            # One verb alone may find an index a level deeper.
            Gate(name=f"{verb} of {what}, {rows}", value=many[verb] / few[verb], bound=2 * _BOUND)
            for verb in VERBS
        ),
    ]


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    add = parser.add_argument
    add("--rows", type=int, nargs="+", default=[10_000, 10_000_000], help="in each table")
    add("--requests", type=int, default=960, help="run beside them, in batches and alone")
    add("--name", help=f"write bench/results/<name>.json, such as scale-{os.cpu_count()}-cores")
    return parser.parse_args(arguments)


def _measure(folder: Path, rows: Sequence[int], requests: int) -> list[Scale]:
    stack = Stack(folder)
    server = stack.postgresql
    server.shared_buffers = "512MB"
    try:
        server.start()
        databases.create(server, stack.site.keys)
        run_once(stack.site.program(MIGRATIONS[0]))
        server.execute("CREATE EXTENSION pg_stat_statements", _DATABASE)
        return asyncio.run(_each(server.database_url(_DATABASE), sorted(rows), requests))
    finally:
        server.stop()


async def _each(url: str, rows: Sequence[int], requests: int) -> list[Scale]:
    sql = await asyncpg.connect(url)
    costs = Costs(url, sql)
    made: list[Scale] = []
    try:
        await keep_plans(sql)
        await renew_plans(sql)  # tables are known to be empty: what misleads a planner most
        await costs.make_plans()
        for count in rows:
            began_at = time.monotonic()
            await fill(url, made[-1].rows + 1 if made else 1, count, _note)
            minutes = (time.monotonic() - began_at) / 60
            buffers, alone = [await costs.measure(requests, many) for many in (BATCH, ALONE)]
            size: int = await sql.fetchval(_BYTES)
            made.append(
                Scale(
                    rows=count, buffers=buffers, alone=alone, database_bytes=size, minutes=minutes
                )
            )
            _show(made[-1])
        await renew_plans(sql)
        buffers, alone = [await costs.measure(requests, many) for many in (BATCH, ALONE)]
        made.append(
            msgspec.structs.replace(made[-1], buffers=buffers, alone=alone, has_new_plans=True)
        )
        _show(made[-1])
    finally:
        await costs.close()
        await sql.close()
    return made


def _note(rows: int) -> None:
    _CONSOLE.print(f"  {rows:,} rows in each table")


def _show(made: Scale) -> None:
    plans = "new plans" if made.has_new_plans else "plans of empty tables"
    _CONSOLE.print(
        f"Beside {made.rows:,} rows, {plans} ({made.database_bytes / _GIBIBYTE:.1f} GiB,"
        f" {made.minutes:.1f} min), buffers of a request"
    )
    for name, buffers in (("in batches", made.buffers), ("alone", made.alone)):
        each = ", ".join(f"{verb} {buffers[verb]:.1f}" for verb in VERBS)
        _CONSOLE.print(f"  {name} {sum(buffers.values()):.1f}: {each}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
