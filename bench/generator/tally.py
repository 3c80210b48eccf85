"""What was seen: right answers, wrong ones by kind, latencies; only while it is measuring."""

import time
from collections import Counter

from bench.generator.checks import check_for
from bench.generator.job import Expected, Report
from bench.histogram import rounded

_OK = 200


class Tally:
    """Every answer is checked; those that come between `begin` and `end` are counted."""

    def __init__(self, expected: Expected) -> None:
        """Nothing is measured yet."""
        self._check = check_for(expected)
        self._answers = 0
        self._latencies: Counter[int] = Counter()
        self._lags: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._is_measuring = False
        self._began_at = self._cpu_began = self._seconds = self._cpu = 0.0

    def begin(self) -> None:
        """The measured time begins."""
        self._is_measuring = True
        self._began_at, self._cpu_began = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """The measured time ends."""
        self._is_measuring = False
        self._seconds = time.perf_counter() - self._began_at
        self._cpu = time.process_time() - self._cpu_began

    def count(self, latency: float, status: int, body: bytes, *, is_measured: bool = True) -> None:
        """Take an answer; `latency` in seconds. Not `is_measured`: only check it."""
        wrong = self._check(body) if status == _OK else f"status {status}"
        if wrong is not None:
            self._failures[wrong] += 1
        elif self._is_measuring and is_measured:
            self._answers += 1
            self._latencies[rounded(latency)] += 1

    def lag(self, seconds: float) -> None:
        """How late the generator sent what was due."""
        if self._is_measuring:
            self._lags[rounded(seconds)] += 1

    def fail(self, kind: str, count: int = 1) -> None:
        """A request without an answer."""
        if count:
            self._failures[kind] += count

    def report(self) -> Report:
        """After `end`."""
        return Report(
            answers=self._answers,
            seconds=round(self._seconds, 4),
            cpu_seconds=round(self._cpu, 4),
            failures=self._failures,
            latencies=self._latencies,
            lags=self._lags,
        )
