"""One round: every measurement once. Rounds interleave, so a disturbance hits one of many."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from bench import plan as names
from bench import targets
from bench.generator.job import Callers, Job, Pace, Target
from bench.measuring import Measurement, measure, measure_drain
from bench.peers.lineup import Lineup, Peer
from bench.plan import Plan
from bench.system import System

Note = Callable[[str, Measurement], None]
"""Is told of each measurement when it is made."""

Entry = tuple[str, Callable[[], Measurement | None]]
"""A measurement's name and how to make it; None when a peer failed at it."""

Made = Iterator[tuple[str, Measurement | None]]


class Round:
    """Round `number` of a run."""

    def __init__(self, system: System, peers: Lineup, plan: Plan, number: int) -> None:
        """Nothing is measured yet."""
        self._system, self._peers, self._plan, self._number = system, peers, plan, number

    def run(self, note: Note) -> dict[str, Measurement]:
        """All measurements, by name."""
        made: dict[str, Measurement] = {}
        for step in (self._backlogs, self._saturated, self._waiting, self._paced, self._slow):
            for name, measurement in step():
                if measurement is not None:
                    note(name, measurement)
                    made[name] = measurement
        return made

    def _backlogs(self) -> Made:
        """Ours and Celery's, another one first from round to round; then once our long one."""
        parts = [self._backlog(self._plan.backlog), self._celery_backlog()]
        yield from chain(*(reversed(parts) if self._number % 2 else parts))
        if self._number == 0 and self._plan.long_backlog:
            yield from self._backlog(self._plan.long_backlog)

    def _backlog(self, size: int) -> Made:
        """Without executors: accept it; then with them: drain it."""
        self._system.wait_until_settled()
        self._system.stop_workers()
        load = Callers(self._plan.callers, count=size)
        job = Job(target=targets.ours(self._system, is_waiting=False), load=load)
        accepting = measure(self._system, job)
        if size == self._plan.backlog:
            yield names.accepted(has_workers=False), accepting
        yield names.drained(size), measure_drain(self._system, size)

    def _celery_backlog(self) -> Made:
        peer = self._peers.celery
        if peer is None:
            return
        self._system.wait_until_settled()
        for name, work in (
            (names.CELERY_ENQUEUED, peer.enqueue),
            (names.CELERY_DRAINED, peer.drain),
        ):
            yield name, self._peers.try_on(peer, partial(work, self._plan.backlog))

    def _saturated(self) -> Made:
        """As much as goes, accepting while executors work."""
        target = targets.ours(self._system, is_waiting=False)
        name = names.accepted(has_workers=True)
        yield from self._each([self._ours(name, target, self._callers(self._plan.callers))])

    def _waiting(self) -> Made:
        """As much as goes, waiting for the answers: we, the proxies, and we with signatures."""
        plain, signed = (
            targets.ours(self._system, is_waiting=True),
            targets.signed(self._system),
        )
        for callers in self._plan.waiting_callers:
            load = self._callers(callers)
            entries = [self._ours(names.completed(callers), plain, load)]
            entries += self._proxies(load, partial(names.completed, callers))
            if callers == self._plan.waiting_callers[-1]:
                entries.append(self._ours(names.completed_signed(callers), signed, load))
            yield from self._each(entries)

    def _paced(self) -> Made:
        """At fixed rates: the provider alone, we, and peers, one right after the other."""
        plan = self._plan
        for rate in plan.rates:
            load = Pace(rate, seconds=plan.paced_seconds, warm_up=plan.warm_up)
            entries = [self._direct(rate, load), self._ours_paced(rate, load)]
            if rate in plan.peer_rates:
                entries += self._proxies(load, partial(names.paced, rate))
                entries += self._celery_paced(rate)
            yield from self._each(entries)

    def _slow(self) -> Made:
        """With the provider that takes its time: at fixed rates, and with many callers."""
        plan, target = self._plan, targets.slow(self._system)
        for rate in plan.slow_rates:
            load = Pace(rate, seconds=plan.paced_seconds, warm_up=plan.warm_up)
            name = names.paced(rate, is_slow=True)
            yield from self._each([self._slow_direct(rate, load), self._ours(name, target, load)])
        for callers in plan.slow_callers:
            name = names.completed_slow(callers)
            yield from self._each([self._ours(name, target, self._callers(callers))])

    def _each(self, entries: Sequence[Entry]) -> Made:
        """One after the other, from round to round another one first."""
        first = self._number % len(entries)
        for name, make in (*entries[first:], *entries[:first]):
            self._system.wait_until_settled()
            yield name, make()

    def _callers(self, callers: int) -> Callers:
        return Callers(callers, seconds=self._plan.seconds, warm_up=self._plan.warm_up)

    def _ours(self, name: str, target: Target, load: Callers | Pace) -> Entry:
        return name, partial(measure, self._system, Job(target=target, load=load))

    def _ours_paced(self, rate: float, load: Pace) -> Entry:
        return self._ours(names.paced(rate), targets.ours(self._system, is_waiting=True), load)

    def _direct(self, rate: float, load: Pace) -> Entry:
        job = Job(target=targets.provider(self._system.provider_port), load=load)
        return names.paced(rate, names.DIRECT), partial(measure, self._system, job)

    def _slow_direct(self, rate: float, load: Pace) -> Entry:
        job = Job(target=targets.provider(self._system.slow_provider_port), load=load)

        def work() -> Measurement:
            with self._system.slow_called_directly():
                return measure(self._system, job)

        return names.paced(rate, names.DIRECT, is_slow=True), work

    def _proxies(self, load: Callers | Pace, name: Callable[[str], str]) -> list[Entry]:
        return [
            self._of(
                peer, name(peer.name), partial(measure, peer, Job(target=peer.target, load=load))
            )
            for peer in self._peers.proxies
        ]

    def _celery_paced(self, rate: float) -> list[Entry]:
        peer, plan = self._peers.celery, self._plan
        if peer is None:
            return []
        work = partial(peer.pace, rate, plan.paced_seconds, plan.warm_up)
        return [self._of(peer, names.paced(rate, peer.name), work)]

    def _of(self, peer: Peer, name: str, work: Callable[[], Measurement]) -> Entry:
        return name, partial(self._peers.try_on, peer, work)
