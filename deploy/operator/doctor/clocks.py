"""How far another clock is from ours, by what it said between our asking and its answer."""

from datetime import datetime, timedelta
from typing import Final

from deploy.operator.doctor.check import Verdict, fail, ok, warn
from libs.common.tokens import LEEWAY

WARN: Final = timedelta(seconds=1)
FAIL: Final = LEEWAY
"""Past this, services take each other's tokens no more."""

_DO: Final = "set the clock by NTP (chrony, systemd-timesyncd) here and there"


def judge_skew(
    told: datetime, asked_at: datetime, heard_at: datetime, grain: timedelta = timedelta()
) -> Verdict:
    """`grain`: how exactly it tells; what may be the way's, or rounding, is no skew."""
    skew = max(asked_at - (told + grain), told - heard_at, timedelta())
    said = f"{skew.total_seconds():.1f} s off ours"
    if skew > FAIL:
        return fail(said, _DO)
    return warn(said, _DO) if skew > WARN else ok(said)
