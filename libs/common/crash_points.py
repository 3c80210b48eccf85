"""Crash points: places between two steps where a test lets a process die, exactly there.

`REQRUN_CRASH_AT=<point>[:<nth>][:stop]` arms one: the nth time it is reached, the first if nothing
is said, the process gets SIGKILL; with `stop` SIGSTOP, and stands still until somebody continues
it. Only where REQRUN_ENV is `local`, in so many words: what cannot say so counts as production.

A point that is not armed costs one call and one comparison. Where work is done in batches, a point
is reached once a batch.
"""

import os
import re
import signal
from collections.abc import Mapping
from itertools import count
from typing import Final

from libs.common.settings import PREFIX, SettingsError

VARIABLE: Final = f"{PREFIX}CRASH_AT"

POINTS: Final[Mapping[str, str]] = {
    "accept.before_commit": "the gateway has checked requests and not asked the ledger yet",
    "accept.after_commit": "requests are stored; neither their hints nor their callers know",
    "hint.before_publish": "requests are stored and answered; their hints are not sent",
    "hint.after_publish": "their hints are with the broker",
    "answer.before_send": "everything is done for a caller but telling it",
    "claim.before_commit": "hints are taken, nothing is claimed",
    "claim.after_commit": "attempts are claimed, their hints not acknowledged",
    "hint.after_ack": "hints are acknowledged, their attempts not begun",
    "send.before_call": "an attempt is about to call the provider",
    "answer.before_finish": "an answer is in hand that was paid for",
    "finish.before_commit": "answers are about to be written",
    "finish.after_commit": "answers are written, and nobody who waits is woken",
    "dispatch.after_commit": "requests have their slots or a hint is due again; no hint is sent",
    "orphans.after_commit": "attempts of the dead are closed, and nobody who waits is woken",
    "erase.after_batch": "some requests of an erased project are gone, the next ones not begun",
    "roll_up.before_commit": "what has ended is counted, not committed",
    "roll_up.after_commit": "it is counted and committed, and the next not begun",
    "relay.before_publish": "events are locked, not published",
    "relay.after_publish": "events are published, not marked as sent",
    "usage.before_commit": "usage is written, not committed",
    "usage.after_commit": "usage is committed, its events not acknowledged",
    "webhook.before_commit": "a webhook is written, not committed, and Paddle not answered",
    "webhook.after_commit": "a webhook is committed, and Paddle not answered",
    "processing.before_commit": "what webhooks say is written, not committed",
    "processing.after_commit": "what webhooks say is committed, and the next ones not begun",
    "reseal.before_commit": "a batch is sealed anew, not committed",
    "reseal.after_commit": "a batch is sealed anew, the next one not begun",
}
"""Every point there is, and what is true when it is reached."""

_ASKED: Final = re.compile(r"(?P<point>[a-z_.]+)(?::(?P<nth>[1-9][0-9]{0,5}))?(?P<stop>:stop)?")


class _Armed:
    """One point, and how often it has been reached."""

    def __init__(self, point: str, nth: int, number: signal.Signals) -> None:
        self.point, self._nth, self._signal = point, nth, number
        self._reached = count(1)

    def reach(self) -> None:
        if next(self._reached) == self._nth:
            os.kill(os.getpid(), self._signal)


_armed: _Armed | None = None


def crash_point(name: str) -> None:
    """Die here if `name` is armed and its time has come."""
    if _armed is not None and _armed.point == name:
        _armed.reach()


def arm(environ: Mapping[str, str]) -> None:
    """Before anything else in a process. Raises SettingsError for a point that there is not."""
    global _armed  # noqa: PLW0603  a process dies as a whole
    asked = environ.get(VARIABLE)
    _armed = None if asked is None else _read(asked, environ)


def _read(asked: str, environ: Mapping[str, str]) -> _Armed:
    if environ.get(f"{PREFIX}ENV") != "local":
        raise SettingsError(f"{VARIABLE} is for tests: it is refused unless {PREFIX}ENV is local")
    found = _ASKED.fullmatch(asked)
    if found is None or found["point"] not in POINTS:
        raise SettingsError(f"{VARIABLE} names no crash point")
    number = signal.SIGSTOP if found["stop"] else signal.SIGKILL
    return _Armed(found["point"], int(found["nth"] or 1), number)
