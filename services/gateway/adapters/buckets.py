"""Token buckets in Redis, for all gateways, or in this process (see domain/rates.py)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Group, Taken

MAX_LOCAL: Final = 50_000

_PREFIX: Final = "reqrun.rate."

# KEYS: the buckets. ARGV: their limits, then for each group the positions of its two buckets and
# how many tokens it wants. Answers for each group: granted, and the two debts. A bucket is kept as
# the time at which it is full, and is gone from then on. Redis's clock decides, for all gateways.
# One that jumped back leaves no debt above a full one. `%.0f`: tostring() keeps only 14 digits.
SCRIPT: Final = """
local WINDOW = 60000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = redis.call('MGET', unpack(KEYS))
local limits, intervals, debts, is_changed = {}, {}, {}, {}
for i = 1, #KEYS do
  limits[i] = tonumber(ARGV[i])
  intervals[i] = math.max(math.floor(WINDOW / limits[i]), 1)
  local debt = (tonumber(full_at[i] or 0) or 0) - now
  debts[i] = math.max(math.min(debt, WINDOW), 0)
end
local function room(i)
  if limits[i] < 1 then return 0 end
  return math.max(limits[i] - math.ceil(debts[i] / intervals[i]), 0)
end
local answer = {}
for at = #KEYS + 1, #ARGV, 3 do
  local key, project = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local granted = math.min(tonumber(ARGV[at + 2]), room(key), room(project))
  for _, i in ipairs({key, project}) do
    if granted > 0 then
      debts[i] = debts[i] + granted * intervals[i]
      is_changed[i] = true
    end
  end
  answer[#answer + 1] = granted
  answer[#answer + 1] = debts[key]
  answer[#answer + 1] = debts[project]
end
for i in pairs(is_changed) do
  local text = string.format('%.0f', now + debts[i])
  redis.call('SET', KEYS[i], text, 'PX', math.ceil(debts[i] / 1000))
end
return answer
"""
_SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisBuckets:
    """Buckets in one Redis, not a cluster: a call's buckets and other callers' go together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(self, groups: Sequence[Group]) -> list[Taken]:
        """One round trip; a second one when Redis has lost the script. Raises what redis raises."""
        places: dict[str, int] = {}
        limits: list[int] = []
        wants: list[int] = []
        for group in groups:
            for bucket in (group.key, group.project):
                if bucket.name not in places:
                    places[bucket.name] = len(places) + 1
                    limits.append(bucket.limit)
                wants.append(places[bucket.name])
            wants.append(group.wanted)
        names = [_PREFIX + name for name in places]
        try:
            answer = await self._redis.evalsha(_SHA, len(names), *names, *limits, *wants)
        except NoScriptError:
            answer = await self._redis.eval(SCRIPT, len(names), *names, *limits, *wants)
        numbers = iter(answer)
        return [Taken(*three) for three in zip(numbers, numbers, numbers, strict=True)]


class LocalBuckets:
    """Buckets in this process. Bounded: the one not used for longest is forgotten, so full."""

    def __init__(self, monotonic: Callable[[], float], limit: int = MAX_LOCAL) -> None:
        """`monotonic`: seconds."""
        self._monotonic, self._limit = monotonic, limit
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, groups: Sequence[Group]) -> list[Taken]:
        """As RedisBuckets does."""
        now = int(self._monotonic() * 1_000_000)
        return [self._take(group, now) for group in groups]

    def _take(self, group: Group, now: int) -> Taken:
        debts = (self._debt(group.key, now), self._debt(group.project, now))
        taken = rates.take(group, *debts)
        if taken.granted:
            self._put(group.key, now + taken.key_debt)
            self._put(group.project, now + taken.project_debt)
        return taken

    def _debt(self, bucket: Bucket, now: int) -> int:
        return max(self._full_at.get(bucket.name, now) - now, 0)

    def _put(self, bucket: Bucket, full_at: int) -> None:
        self._full_at[bucket.name] = full_at
        self._full_at.move_to_end(bucket.name)
        if len(self._full_at) > self._limit:
            self._full_at.popitem(last=False)
