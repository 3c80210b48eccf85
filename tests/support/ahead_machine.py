"""Gateways whose calls go ahead of one Redis, as a machine of hypothesis: nobody gets too much."""

from datetime import timedelta
from typing import Final

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from services.gateway.adapters.ahead import Ahead
from services.gateway.adapters.limits import BUDGET, PAUSE
from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Group, RateAsk, RateGrant, Taken
from tests.support.rate_model import ModelBuckets

ASK: Final = RateAsk(
    key_id="key_a",
    project_id="prj_a",
    mode="live",
    kind="submit",
    per_minute_key=6_400,
    per_minute_project=6_400,
)
START: Final = 1_000_000_000_000
STEP: Final = timedelta(milliseconds=5) // timedelta(microseconds=1)
MOST_LATE: Final = PAUSE // timedelta(microseconds=1) + STEP
SLOWEST: Final = BUDGET // timedelta(microseconds=1)
LIMITS: Final = st.sampled_from((1_000, 64, 640, 6_400, 60_000))


class Flight:
    """One call of Redis, which runs when it arrives there and is heard of later."""

    def __init__(self, groups: dict[RateAsk, Group], sent_at: int) -> None:
        self.groups, self.sent_at = groups, sent_at
        self.taken: list[Taken] | None = None


class Site:
    """One gateway as RedisRates is one: it settles what is owed with whatever it asks."""

    def __init__(self, redis: ModelBuckets) -> None:
        self.redis, self.ahead = redis, Ahead()
        self.flight: Flight | None = None
        self.owes_since: int | None = None

    def take(self, ask: RateAsk) -> RateGrant | None:
        grant = self.ahead.take(ask, self.redis.now / 1_000_000)
        if grant is not None and self.owes_since is None:
            self.owes_since = self.redis.now
        return grant

    def send(self, wanted: dict[RateAsk, int]) -> None:
        now = self.redis.now
        calls = {**dict.fromkeys(self.ahead.debtors(256), 0), **wanted}
        groups = {
            ask: Group(
                *rates.buckets(ask),
                count,
                self.ahead.settle(ask, now / 1_000_000, is_asking=count > 0),
            )
            for ask, count in calls.items()
        }
        self.flight, self.owes_since = Flight(groups, now), None

    def arrive(self) -> list[Taken]:
        """What Redis answers; empty where it has answered, or nothing is under way."""
        if self.flight is None or self.flight.taken is not None:
            return []
        self.flight.taken = self.redis.take(list(self.flight.groups.values()))
        return self.flight.taken

    def hear(self) -> None:
        assert self.flight is not None
        assert self.flight.taken is not None
        for (ask, group), taken in zip(self.flight.groups.items(), self.flight.taken, strict=True):
            granted, _ = rates.grants(group, taken)
            self.ahead.renew(ask, taken, granted, self.flight.sent_at / 1_000_000)
        self.flight = None


SITE: Final = st.integers(0, 1)
KEY: Final = st.integers(0, 1)


class Sites(RuleBasedStateMachine):
    """Two gateways, two keys of one project, and a count of what was really let through."""

    @initialize(of_key=LIMITS, of_project=LIMITS)
    def begin(self, of_key: int, of_project: int) -> None:
        first = msgspec.structs.replace(ASK, per_minute_key=of_key, per_minute_project=of_project)
        self.asks = [first, msgspec.structs.replace(first, key_id="key_b")]
        self.redis = ModelBuckets(START)
        self.sites = [Site(self.redis) for _ in range(2)]
        self.full_at: dict[Bucket, int] = {}

    @rule(site=SITE, key=KEY)
    def come_twice(self, site: int, key: int) -> None:
        self.ask(site, key, 1)
        self.ask(site, key, 1)

    @rule(site=SITE, key=KEY, calls=st.sampled_from((1, 1_000)))
    def go_ahead(self, site: int, key: int, calls: int) -> None:
        for _ in range(calls):
            if self.sites[site].take(self.asks[key]) is None:
                return
            self.let_through(rates.buckets(self.asks[key]), 1)

    @rule(site=SITE, key=KEY, calls=st.sampled_from((1, 100_000)))
    def ask(self, site: int, key: int, calls: int) -> None:
        self.begin_to_ask(site, key, calls)
        self.land(self.sites[site])

    @rule(site=SITE, key=KEY, calls=st.sampled_from((1, 100_000)))
    def begin_to_ask(self, site: int, key: int, calls: int) -> None:
        self.land(self.sites[site])
        self.sites[site].send({self.asks[key]: calls})

    @rule(site=SITE)
    def begin_to_tell(self, site: int) -> None:
        self.land(self.sites[site])
        self.sites[site].send({})

    @rule(site=SITE)
    def arrive(self, site: int) -> None:
        self.run(self.sites[site])

    @rule(site=SITE)
    def answer(self, site: int) -> None:
        self.land(self.sites[site])

    @rule(steps=st.sampled_from((1, 12, 130)))
    def wait(self, steps: int) -> None:
        for _ in range(steps):
            self.redis.now += STEP
            for site in self.sites:
                self.keep_time(site)

    def keep_time(self, site: Site) -> None:
        """As RedisRates does: nothing takes longer than BUDGET, or is told later than PAUSE."""
        now = self.redis.now
        if site.flight is not None and now + STEP > site.flight.sent_at + SLOWEST:
            self.land(site)
        if site.owes_since is not None and now >= site.owes_since + MOST_LATE:
            self.land(site)
            site.send({})

    def run(self, site: Site) -> None:
        for group, taken in zip(site.flight.groups.values() if site.flight else (), site.arrive()):  # noqa: B905  # nothing arrives twice
            self.let_through((group.key, group.project), taken.granted)

    def land(self, site: Site) -> None:
        self.run(site)
        if site.flight is not None:
            site.hear()

    def let_through(self, buckets: tuple[Bucket, Bucket], calls: int) -> None:
        for bucket in buckets:
            debt = max(self.full_at.get(bucket, 0) - self.redis.now, 0)
            assert calls <= rates.room(debt, bucket.limit)
            spent = debt + calls * rates.interval(bucket.limit)
            self.full_at[bucket] = self.redis.now + spent

    def teardown(self) -> None:
        """Nothing that went on is forgotten."""
        for site in self.sites:
            self.land(site)
            site.send({})
            self.land(site)
        for bucket, full_at in self.full_at.items():
            assert self.redis.debt(bucket) >= full_at - self.redis.now
