"""What another plan changes, in words, and said before it is changed.

What is said here is what happens: limits hold at the gate within seconds, bodies keep the day of
their end that they got when they were accepted, records go by the window of now (decision 0016).
"""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from libs.common.contracts.plans import Plan


class Difference(msgspec.Struct, frozen=True):
    """One thing that is more than before (`is_gain`), or less."""

    is_gain: bool
    text: str


class InUse(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has now. `requests`: of this period, as far as is known."""

    projects: int
    requests: int = 0


def differences(now: Plan, then: Plan, used: InUse) -> list[Difference]:
    """Everything that is not the same; the gains first."""
    found = [*_limits(now, then, used), *_projects(now, then, used), *_windows(now, then)]
    return sorted(found, key=lambda one: not one.is_gain)


def _limits(now: Plan, then: Plan, used: InUse) -> Iterator[Difference]:
    old, new = now.limits, then.limits
    if (before := old.requests_per_month) != (after := new.requests_per_month):
        over = ""
        if used.requests >= after:
            over = (
                f" You have used {used.requests:,} already: new live requests are refused until"
                " the period ends."
            )
        yield Difference(after > before, f"{after:,} live requests a month, not {before:,}.{over}")
    if (before := old.requests_per_minute) != (after := new.requests_per_minute):
        yield Difference(after > before, f"{after:,} requests a minute, not {before:,}.")
    if (before := old.pending) != (after := new.pending):
        rest = " What was accepted runs on; no new ones while more are open."
        text = f"{after:,} requests may be open at once, not {before:,}."
        yield Difference(after > before, text + (rest if after < before else ""))
    if (before := old.running) != (after := new.running):
        yield Difference(
            after > before, f"{after:,} requests run at the same time, not {before:,}."
        )


def _projects(now: Plan, then: Plan, used: InUse) -> Iterator[Difference]:
    if now.projects == then.projects:
        return
    text = f"Room for {_count(then.projects, 'project')}, not {now.projects:,}."
    above = used.projects - then.projects
    if above > 0:
        text += (
            f" You have {used.projects:,}: all of them stay and go on working,"
            " and no new one can be made."
        )
    yield Difference(then.projects > now.projects, text)


def _windows(now: Plan, then: Plan) -> Iterator[Difference]:
    if now.retention != then.retention:
        yield Difference(
            then.retention > now.retention,
            f"Prompts and results of new requests are kept for {_days(then.retention)}, not"
            f" {_days(now.retention)}. What is stored already keeps its day.",
        )
    if now.metadata != then.metadata:
        is_more = then.metadata > now.metadata
        rest = (
            ""
            if is_more
            else f" Older ones than {_days(then.metadata)} are erased, in each project from its"
            " next request on. Export them before, if you want to keep them."
        )
        text = (
            f"Records of requests are kept for {_days(then.metadata)}, not {_days(now.metadata)}."
        )
        yield Difference(is_more, text + rest)


def _days(span: timedelta) -> str:
    return _count(span.days, "day")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
