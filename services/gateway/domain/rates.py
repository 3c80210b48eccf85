"""How fast one may call: every call takes a token from its key's bucket and its project's.

A bucket holds as many tokens as a minute allows, so that many calls may come at once, and fills
evenly over the minute. What is kept of it is its *debt*: how long until it is full again. One
number, none at all for a full bucket, and a plan that changes changes no debt: who had spent half
of the old limit has spent half of the new one.

Debts are whole microseconds, at most a minute; Redis counts them alike (adapters/buckets.py).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

WINDOW: Final = timedelta(minutes=1)
WINDOW_MICROSECONDS: Final = 60_000_000
READ_FACTOR: Final = 10
"""Reads have buckets of their own, so many times as large."""

_MICROSECOND: Final = timedelta(microseconds=1)
_MILLISECONDS_AN_HOUR: Final = 3_600_000
_MILLISECONDS_A_MINUTE: Final = 60_000


class RateAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One call that wants to go on. The limits are the plan's, for submitting.

    Live and test calls have buckets of their own, as they have counters of their own.
    """

    key_id: str
    project_id: str
    mode: Literal["live", "test"]
    kind: Literal["submit", "read"]
    per_minute_key: int
    per_minute_project: int


class RateGrant(msgspec.Struct, frozen=True):
    """Whether it may, and where the tighter of its two buckets stands.

    `reset`: until that bucket is full. `retry_after`: until both have a token; zero when granted.
    """

    is_granted: bool
    limit: int
    remaining: int
    reset: timedelta
    retry_after: timedelta


class Bucket(msgspec.Struct, frozen=True):
    """`name`: unique in the installation. `limit`: tokens, and tokens a minute; 0 for never."""

    name: str
    limit: int


class Leave(msgspec.Struct, frozen=True):
    """So many calls may go on unasked: both buckets keep their tokens back (decision 0031).

    `slot`: the stretch of Redis's time in which it was given, and with which it is forgotten.
    """

    calls: int = 0
    slot: int = 0


class Dues(msgspec.Struct, frozen=True):
    """What a gateway has to settle. `owed`: calls let through unasked since it last did.

    `back`: the leave they went on. `parts`: the next is one of so many of what is free; 0: none.
    """

    owed: int = 0
    back: Leave = Leave()
    parts: int = 0


class Group(msgspec.Struct, frozen=True):
    """Calls of one instant that draw on the same two buckets. `wanted`: how many they are."""

    key: Bucket
    project: Bucket
    wanted: int
    dues: Dues = Dues()


class Taken(msgspec.Struct, frozen=True):
    """How many of a group may go on, the two buckets' debts after them, and a leave for more."""

    granted: int
    key_debt: int
    project_debt: int
    leave: Leave = Leave()


def buckets(ask: RateAsk) -> tuple[Bucket, Bucket]:
    """The key's and the project's bucket of a call."""
    factor = READ_FACTOR if ask.kind == "read" else 1
    project = f"{ask.project_id}.{ask.mode}.{ask.kind}"
    return (
        Bucket(f"{project}.{ask.key_id}", ask.per_minute_key * factor),
        Bucket(project, ask.per_minute_project * factor),
    )


def together(asks: Sequence[RateAsk]) -> dict[RateAsk, list[int]]:
    """Equal asks as one, each with its positions in `asks`; all in order of arrival."""
    positions: dict[RateAsk, list[int]] = {}
    for position, ask in enumerate(asks):
        positions.setdefault(ask, []).append(position)
    return positions


def interval(limit: int) -> int:
    """Microseconds in which a bucket gets one token; `limit` is at least 1."""
    return max(WINDOW_MICROSECONDS // limit, 1)


def room(debt: int, limit: int) -> int:
    """Whole tokens in a bucket."""
    if limit < 1:
        return 0
    return max(limit + -debt // interval(limit), 0)  # -a // b is minus a/b rounded up


def time_to_token(debt: int, limit: int) -> timedelta:
    """Until a bucket has a token; zero when it has one."""
    if limit < 1:
        return WINDOW
    return max(debt - (limit - 1) * interval(limit), 0) * _MICROSECOND


def charge(debt: int, limit: int, calls: int) -> int:
    """The debt after `calls` that went on unasked, whether or not there was a token for each."""
    if calls == 0:
        return debt
    return min(debt + calls * interval(limit), WINDOW_MICROSECONDS)


def take(group: Group, key_debt: int, project_debt: int) -> Taken:
    """As many tokens as both buckets have, up to what is wanted; a refused call takes none.

    What is owed is charged first. Gives no leave: who asks here is in no hurry.
    """
    key_debt = charge(key_debt, group.key.limit, group.dues.owed)
    project_debt = charge(project_debt, group.project.limit, group.dues.owed)
    granted = min(
        group.wanted, room(key_debt, group.key.limit), room(project_debt, group.project.limit)
    )
    if granted == 0:
        return Taken(0, key_debt, project_debt)
    return Taken(
        granted,
        key_debt + granted * interval(group.key.limit),
        project_debt + granted * interval(group.project.limit),
    )


def grants(group: Group, taken: Taken) -> tuple[RateGrant, RateGrant]:
    """What is told to those of a group who may go on, and to those who may not."""
    sides = ((group.key, taken.key_debt), (group.project, taken.project_debt))
    bucket, debt = min(sides, key=lambda side: room(side[1], side[0].limit))
    remaining, reset = room(debt, bucket.limit), debt * _MICROSECOND
    wait = max(time_to_token(debt, bucket.limit) for bucket, debt in sides)
    return (
        RateGrant(True, bucket.limit, remaining, reset, timedelta()),  # noqa: FBT003  # a Struct
        RateGrant(False, bucket.limit, remaining, reset, wait),  # noqa: FBT003  # as above
    )


def after(grant: RateGrant, calls: int) -> RateGrant:
    """What is told to the last of `calls` more that went on, at the same instant."""
    if calls == 0:
        return grant
    remaining = max(grant.remaining - calls, 0)
    reset = min(grant.reset + calls * interval(grant.limit) * _MICROSECOND, WINDOW)
    return RateGrant(grant.is_granted, grant.limit, remaining, reset, grant.retry_after)


def headers(grant: RateGrant) -> Mapping[str, str]:
    """The rate-limit headers of every answer, in the form of OpenAI's API."""
    return {
        "x-ratelimit-limit-requests": str(grant.limit),
        "x-ratelimit-remaining-requests": str(grant.remaining),
        "x-ratelimit-reset-requests": write_duration(grant.reset),
    }


def write_duration(duration: timedelta) -> str:
    """As OpenAI writes one: `120ms`, `8.64s`, `6m0s`, `1h0m0s`. Rounded up to milliseconds."""
    milliseconds = -(-duration // timedelta(milliseconds=1))
    if 0 < milliseconds < 1000:  # noqa: PLR2004  # milliseconds a second
        return f"{milliseconds}ms"
    hours, rest = divmod(milliseconds, _MILLISECONDS_AN_HOUR)
    minutes, rest = divmod(rest, _MILLISECONDS_A_MINUTE)
    text = f"{rest / 1000:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
