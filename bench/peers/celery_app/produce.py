"""`python -m bench.peers.celery_app.produce`: a job in, a report out, as bench.generator does.

One thread that calls `delay`, Celery's normal use. The job: `body`, `expected`, and either `count`
or `per_second` with `seconds` and `warm_up`. Run by the peer's interpreter: the standard library,
Celery and bench.histogram are all there is.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

from celery.exceptions import TimeoutError as NoResult  # type: ignore[import-not-found]  # theirs

from bench.histogram import rounded
from bench.peers.celery_app.tasks import complete

_WARM_UP = 5
_RESULT_SECONDS = 60


class Producer:
    """Sends and reports."""

    def __init__(self, job: dict[str, Any]) -> None:
        """Nothing is sent yet."""
        self._job = job
        self._answers = 0
        self._latencies: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._began_at = self._cpu_began = self._seconds = self._cpu = 0.0

    def enqueue(self) -> None:
        """As fast as it goes; the latency is that of `delay`."""
        self._begin()
        for _ in range(self._job["count"]):
            sent_at = time.perf_counter()
            complete.delay(self._job["body"])
            self._latencies[rounded(time.perf_counter() - sent_at)] += 1
            self._answers += 1
        self._end()

    def pace(self) -> None:
        """At intended times; the latency goes from there to the moment the result was stored."""
        rate, warm_up = self._job["per_second"], self._job["warm_up"]
        measured = round(rate * self._job["seconds"])
        unmeasured = round(rate * warm_up)
        first_at = time.time() + 0.05
        sent = []
        for number in range(unmeasured + measured):
            intended_at = first_at + number / rate
            time.sleep(max(intended_at - time.time(), 0))
            if number == unmeasured:
                self._begin()
            sent.append((intended_at, complete.delay(self._job["body"])))
        for number, (intended_at, result) in enumerate(sent):
            self._count(result, intended_at, is_measured=number >= unmeasured)
        self._end()

    def report(self) -> dict[str, Any]:
        """See bench.generator.job.Report."""
        return {
            "answers": self._answers,
            "seconds": round(self._seconds, 4),
            "cpu_seconds": round(self._cpu, 4),
            "failures": self._failures,
            "latencies": self._latencies,
        }

    def _count(self, result: Any, intended_at: float, *, is_measured: bool) -> None:
        try:
            answer = result.get(timeout=_RESULT_SECONDS)
        except NoResult:
            self._failures["no answer in time"] += 1
            return
        if answer != self._job["expected"]:
            self._failures["another body"] += 1
        elif is_measured:
            self._answers += 1
            self._latencies[rounded(result.date_done.timestamp() - intended_at)] += 1

    def _begin(self) -> None:
        _say("begun")
        self._began_at, self._cpu_began = time.perf_counter(), time.process_time()

    def _end(self) -> None:
        self._seconds = time.perf_counter() - self._began_at
        self._cpu = time.process_time() - self._cpu_began
        _say("ended")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Connect, perform, report."""
    job = json.load(sys.stdin)
    producer = Producer(job)
    with complete.app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=_WARM_UP)
    if "count" in job:
        producer.enqueue()
    else:
        producer.pace()
    _say(json.dumps(producer.report()))


if __name__ == "__main__":
    main()
