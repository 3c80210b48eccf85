"""Checks of the request ledger: what is due is looked at, counters and rows agree."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from deploy.operator.doctor.check import Check, Verdict, fail, ok, warn
from deploy.operator.doctor.servers import Server
from libs.ledger import operator_ledger, upkeep

_LATE_WARN, _LATE_FAIL = timedelta(seconds=10), timedelta(minutes=1)
_LEASE_FAIL: Final = timedelta(seconds=35)
"""A dispatcher takes an ended lease after one full lease of contact, and a lease is 15 s."""

_DAYS: Final = """
SELECT max(to_date(right(c.relname, 8), 'YYYYMMDD')) AS last,
    (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass AND c.relname ~ '_[0-9]{8}$'
"""
_DAYS_WARN, _DAYS_FAIL = 45, 14


def checks(server: Server) -> Iterator[Check]:
    """All of it."""
    yield Check("ledger: dispatcher's lag", lambda: _check_lag(server))
    yield Check("ledger: leases", lambda: _check_leases(server))
    yield Check("ledger: counters", lambda: _check_counters(server))
    yield Check("ledger: open requests", lambda: _check_backlog(server))
    yield Check("ledger: days ahead", lambda: _check_days(server))


async def _check_lag(server: Server) -> Verdict:
    found = await server.using(upkeep.measure_overdue)
    late = timedelta(seconds=max(found.oldest_seconds, 0))
    said = f"the oldest due row is {late.total_seconds():.1f} s late"
    help_ = "see whether a dispatcher runs (docs/runbook.md, ReqRunRequestsLate)"
    if found.forgotten:
        return fail(f"{found.forgotten} rows are over ten minutes late; {said}", help_)
    if late > _LATE_FAIL:
        return fail(said, help_)
    return warn(said, help_) if late > _LATE_WARN else ok(said)


async def _check_leases(server: Server) -> Verdict:
    found = await server.using(operator_ledger.read_leases)
    if not found.ended:
        return ok(f"{found.held} held, none ended")
    said = f"{found.ended} of {found.held} ended, the oldest {found.oldest_seconds:.0f} s ago"
    help_ = "an executor died; a dispatcher takes them after one lease: see whether one runs"
    is_long = timedelta(seconds=found.oldest_seconds) > _LEASE_FAIL
    return fail(said, help_) if is_long else warn(said, help_)


async def _check_counters(server: Server) -> Verdict:
    found = await server.using(upkeep.measure_drift)
    if found == upkeep.Drift(0, 0, 0):
        return ok("all equal to the rows they count")
    return fail(
        f"{found.pending} of accounts and {found.slots} of projects differ from their rows,"
        f" {found.strays} bodies outside their day",
        "docs/runbook.md, ReqRunCountersDrift",
    )


async def _check_backlog(server: Server) -> Verdict:
    found = await server.using(upkeep.measure_backlog)
    count = sum(group.requests for group in found.groups)
    return ok(f"{count}, {found.workable} could run now; database {found.size / 2**20:.0f} MiB")


async def _check_days(server: Server) -> Verdict:
    ends = [await server.ask_one(_DAYS, parent) for parent in ("bodies", "body_keys")]
    left = min(((row["last"] or date.min) - row["today"]).days for row in ends)
    said = f"there is room for bodies of {left} days to come"
    help_ = "see `make_partitions` in the dispatcher's log"
    if left < _DAYS_FAIL:
        return fail(said, help_)
    return warn(said, help_) if left < _DAYS_WARN else ok(said)
