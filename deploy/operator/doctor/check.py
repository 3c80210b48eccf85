"""One check: what is looked at, what was found, and how long that may take."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

SECONDS: Final = 5.0
"""How long any check may take; what it waits for has less, so that it can say what hangs."""

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 3.0


class State(StrEnum):
    """How it is. `skip`: nobody can tell from here, and `says` is why."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Verdict(msgspec.Struct, frozen=True):
    """What a check found. `do`: what helps, where something is wrong."""

    state: State
    says: str
    do: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with the check it is of."""

    check: str
    state: State
    says: str
    do: str = ""


class Report(msgspec.Struct, frozen=True):
    """All of it. `is_good`: nothing fails; warnings and what was skipped do not count."""

    is_good: bool
    counts: dict[State, int]
    findings: list[Finding]


Look = Callable[[], Awaitable[Verdict]]


class Check(msgspec.Struct, frozen=True):
    """`name`: the thing that is looked at, and what about it."""

    name: str
    look: Look


class Unable(Exception):
    """It cannot be looked at from here; the text says why, and holds no secret."""


def ok(says: str) -> Verdict:
    """As it should be."""
    return Verdict(State.OK, says)


def warn(says: str, do: str = "") -> Verdict:
    """Nothing is broken yet."""
    return Verdict(State.WARN, says, do)


def fail(says: str, do: str = "") -> Verdict:
    """Something is broken, or will be."""
    return Verdict(State.FAIL, says, do)


async def examine(
    checks: Sequence[Check], on_finding: Callable[[Finding], None], seconds: float = SECONDS
) -> Report:
    """Run all of them side by side; `on_finding` is told each as it comes, in no order."""

    async def one(check: Check) -> Finding:
        verdict = await _bounded(check, seconds)
        found = Finding(check=check.name, state=verdict.state, says=verdict.says, do=verdict.do)
        on_finding(found)
        return found

    findings = await asyncio.gather(*map(one, checks))
    counts = {state: sum(one.state is state for one in findings) for state in State}
    return Report(not counts[State.FAIL], counts, list(findings))


async def _bounded(check: Check, seconds: float) -> Verdict:
    """Only the kind of an unforeseen error is told: its text may quote an address with a password.

    A check that does not let itself be cancelled is left behind, not waited for.
    """
    task = asyncio.ensure_future(check.look())
    done, _ = await asyncio.wait([task], timeout=seconds)
    if not done:
        task.cancel()
        return fail(f"no answer within {seconds:g} s", "see whether the server hangs")
    try:
        return task.result()
    except Unable as reason:
        return Verdict(State.SKIP, str(reason))
    except TimeoutError:
        return fail("no answer in time", "see whether the server hangs")
    except Exception as error:  # noqa: BLE001  # one check's trouble is no other's
        return fail(f"could not be looked at: {type(error).__name__}")
