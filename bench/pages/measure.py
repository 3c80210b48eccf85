"""One page after the other over HTTP: how long each takes, and what it costs the machine."""

import time
from collections.abc import Mapping

import httpx2
import msgspec

from bench.usage import Roots, busy_seconds, cpu_seconds
from deploy.local.programs import ProgramFailed

_WARM: int = 3
_AWAY = 'class="note wait" role="status"'
_NOT_THERE = 404


class PageTimes(msgspec.Struct, frozen=True, kw_only=True):
    """`milliseconds`: of each answer, sorted. `cpu_ms`: a page, by process of the system.

    `others`: cores that everybody else kept busy meanwhile: above 0.15 times say little.
    """

    path: str
    bytes: int
    milliseconds: list[float]
    cpu_ms: Mapping[str, float]
    others: float

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of the answers did not exceed."""
        return self.milliseconds[min(int(len(self.milliseconds) * share), len(self) - 1)]

    def __len__(self) -> int:
        """How many answers."""
        return len(self.milliseconds)


def measure(client: httpx2.Client, path: str, times: int, roots: Roots) -> PageTimes:
    """Ask for one page again and again. ProgramFailed where it is not whole."""
    for _ in range(_WARM):
        _check(client.get(path), path)
    before, began_at, busy = cpu_seconds(roots), time.monotonic(), busy_seconds()
    answers, taken = [], []
    for _ in range(times):
        asked_at = time.perf_counter()
        answers.append(client.get(path))
        taken.append(round((time.perf_counter() - asked_at) * 1000, 2))
    used = {name: seconds - before[name] for name, seconds in cpu_seconds(roots).items()}
    wall = time.monotonic() - began_at
    for answer in answers:
        _check(answer, path)
    return PageTimes(
        path=path,
        bytes=len(answers[-1].content),
        milliseconds=sorted(taken),
        cpu_ms={name: round(seconds / times * 1000, 2) for name, seconds in used.items()},
        others=round(max(busy_seconds() - busy - sum(used.values()), 0) / wall, 2),
    )


def _check(answer: httpx2.Response, path: str) -> None:
    """A page that says that something is away is quick for nothing."""
    if answer.is_server_error or (answer.is_client_error and answer.status_code != _NOT_THERE):
        raise ProgramFailed(f"{path} answered {answer.status_code}")
    if _AWAY in answer.text:
        raise ProgramFailed(f"{path} says that something is away")
