"""Token buckets in Redis, for all gateways, or in this process (see domain/rates.py)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Dues, Group, Leave, Taken

MAX_LOCAL: Final = 50_000

_PREFIX: Final = "reqrun.rate."

# KEYS: the buckets; beside each is what is out of it on leave. ARGV: their limits, then for each
# group the positions of its two buckets, how many tokens it wants, and its dues: empty for none, or
# owed, its leave, the slot of that, parts. Answers for each group: granted, the two debts, a leave
# and its slot.
#
# A bucket is kept as the time at which it is full, and is gone from then on. What is out is kept as
# a slot, what was lent in it, and what in the one before: what is older is over. Who wants nothing
# may be using the rest of its leave meanwhile, so its next one is as large at least. Who is refused
# is told of what is out as if it were spent, and so never to come back at once.
#
# Redis's clock decides, for all gateways. One that jumped back leaves no debt above a full one.
# `%.0f`: tostring() keeps only 14 digits.
SCRIPT: Final = """
local WINDOW, SLOT = 60000000, 300000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local slot = math.floor(now / SLOT)
local count, names = #KEYS, {}
for i = 1, count do
  names[i], names[count + i] = KEYS[i], KEYS[i] .. '.out'
end
local kept = redis.call('MGET', unpack(names))
local limits, intervals, debts, is_changed = {}, {}, {}, {}
local young, old, is_out_changed = {}, {}, {}
for i = 1, count do
  limits[i] = tonumber(ARGV[i])
  intervals[i] = math.max(math.floor(WINDOW / limits[i]), 1)
  local debt = (tonumber(kept[i] or 0) or 0) - now
  debts[i] = math.max(math.min(debt, WINDOW), 0)
  local at, this, last = string.match(kept[count + i] or '', '^(%d+) (%d+) (%d+)$')
  at = tonumber(at)
  young[i] = at == slot and tonumber(this) or 0
  old[i] = at == slot and tonumber(last) or at == slot - 1 and tonumber(this) or 0
end
local function room(i)
  if limits[i] < 1 then return 0 end
  return math.max(limits[i] - math.ceil(debts[i] / intervals[i]) - young[i] - old[i], 0)
end
local function spend(i, calls)
  if calls < 1 then return end
  debts[i] = math.min(debts[i] + calls * intervals[i], WINDOW)
  is_changed[i] = true
end
local function lend(i, calls)
  if calls < 1 then return end
  young[i] = young[i] + calls
  is_out_changed[i] = true
end
local function take_back(i, calls, at)
  if calls < 1 then return end
  if at == slot then young[i] = math.max(young[i] - calls, 0) end
  if at == slot - 1 then old[i] = math.max(old[i] - calls, 0) end
  is_out_changed[i] = true
end
local function told(i, is_refused)
  local held = is_refused and young[i] + old[i] or 0
  return held > 0 and math.min(debts[i] + held * intervals[i], WINDOW) or debts[i]
end
local answer = {}
for at = count + 1, #ARGV, 4 do
  local key, project, wanted = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local owed, back, given_in, parts = 0, 0, 0, 0
  if ARGV[at + 3] ~= '' then
    owed, back, given_in, parts = string.match(ARGV[at + 3], '^(%d+) (%d+) (%d+) (%d+)$')
    owed, back = tonumber(owed), tonumber(back)
    given_in, parts = tonumber(given_in), tonumber(parts)
  end
  for _, i in ipairs({key, project}) do
    take_back(i, back, given_in)
    spend(i, owed)
  end
  local granted = math.min(wanted, room(key), room(project))
  spend(key, granted)
  spend(project, granted)
  local leave = 0
  if parts > 0 then leave = math.floor(math.min(room(key), room(project)) / parts) end
  if wanted == 0 and given_in >= slot - 1 then leave = math.max(leave, back - owed) end
  lend(key, leave)
  lend(project, leave)
  answer[#answer + 1] = granted
  answer[#answer + 1] = told(key, granted < wanted)
  answer[#answer + 1] = told(project, granted < wanted)
  answer[#answer + 1] = leave
  answer[#answer + 1] = leave > 0 and slot or 0
end
for i in pairs(is_changed) do
  local text = string.format('%.0f', now + debts[i])
  redis.call('SET', names[i], text, 'PX', math.ceil(debts[i] / 1000))
end
for i in pairs(is_out_changed) do
  local text = string.format('%.0f %.0f %.0f', slot, young[i], old[i])
  redis.call('SET', names[count + i], text, 'PX', 2 * SLOT / 1000)
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
        wants: list[int | str] = []
        for group in groups:
            for bucket in (group.key, group.project):
                if bucket.name not in places:
                    places[bucket.name] = len(places) + 1
                    limits.append(bucket.limit)
                wants.append(places[bucket.name])
            wants += group.wanted, _write(group.dues)
        names = [_PREFIX + name for name in places]
        try:
            answer = await self._redis.evalsha(_SHA, len(names), *names, *limits, *wants)
        except NoScriptError:
            answer = await self._redis.eval(SCRIPT, len(names), *names, *limits, *wants)
        numbers = iter(answer)
        fives = zip(numbers, numbers, numbers, numbers, numbers, strict=True)
        return [
            Taken(granted, of_key, of_project, Leave(calls, slot))
            for granted, of_key, of_project, calls, slot in fives
        ]


def _write(dues: Dues) -> str:
    if not (dues.owed or dues.parts or dues.back.calls):
        return ""
    return f"{dues.owed} {dues.back.calls} {dues.back.slot} {dues.parts}"


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
        if taken.granted or group.dues.owed:
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
