"""A precise periodic timer: timers of event loops are up to a millisecond late, this is not.

timerfd_create(2); Python has it from 3.13 on.
"""

import ctypes
import os

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_NANOSECONDS = 1_000_000_000


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Schedule(ctypes.Structure):
    _fields_ = (("interval", _Time), ("first", _Time))


def start(first_at: float, interval: float) -> int:
    """A descriptor that is readable at `first_at` (time.monotonic) and every `interval` seconds.

    The caller reads it to reset it and closes it. OSError when the kernel has no such timer.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC))
    schedule = _Schedule(_time(interval), _time(first_at))
    failed = libc.timerfd_settime(descriptor, _ABSOLUTE, ctypes.byref(schedule), None)
    if descriptor < 0 or failed:
        raise OSError(ctypes.get_errno(), "no timer")
    return descriptor


def _time(seconds: float) -> _Time:
    whole, rest = divmod(round(seconds * _NANOSECONDS), _NANOSECONDS)
    return _Time(whole, rest)
