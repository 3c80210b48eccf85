"""Checks of this machine: Python, our release, the disk where it can be seen."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.local.site import ROOT
from deploy.operator.doctor.check import Check, Unable, Verdict, fail, ok, warn

OLDEST: Final = (3, 11)
_WARN, _FAIL = 0.85, 0.95


def checks(folder: Path | None) -> Iterator[Check]:
    """`folder`: of a local stack."""
    yield Check("machine: release", _check_release)
    yield Check("machine: disk", lambda: _check_disk(folder))


async def _check_release() -> Verdict:
    running = sys.version_info[:3]
    said = f"commit {commit(ROOT)}, Python {'.'.join(map(str, running))}"
    if running < OLDEST:
        return fail(said, f"run it on Python {OLDEST[0]}.{OLDEST[1]} or newer")
    return ok(said)


async def _check_disk(folder: Path | None) -> Verdict:
    if folder is None:
        raise Unable("the servers' disks are not this machine's")
    usage = shutil.disk_usage(folder / "data")
    share = 1 - usage.free / usage.total
    said = f"{share:.0%} full, {usage.free / 2**30:.1f} GiB free"
    if share > _FAIL:
        return fail(said, "make room: a full disk stops PostgreSQL")
    return warn(said, "make room") if share > _WARN else ok(said)


def commit(root: Path) -> str:
    """The checkout's, short; an image has none, and its tag says it."""
    try:
        head = (root / ".git" / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head[:10]
        name = head.removeprefix("ref: ")
        loose = root / ".git" / name
        if loose.exists():
            return loose.read_text("utf-8").strip()[:10]
        packed = (root / ".git" / "packed-refs").read_text("utf-8").splitlines()
        return next(line[:10] for line in packed if line.endswith(f" {name}"))
    except (OSError, StopIteration):
        return "unknown"
