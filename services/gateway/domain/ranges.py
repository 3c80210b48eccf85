"""Which ranges of time a project's numbers can be asked for."""

from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.contracts.stats import MAX_DAYS, MAX_HOURS, StatsQuestion
from services.gateway.domain.errors import UnsupportedParameter

_STEPS: Final = {
    "hour": (timedelta(hours=1), MAX_HOURS),
    "day": (timedelta(days=1), MAX_DAYS),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def steps_of(asked: StatsQuestion) -> list[datetime]:
    """When each step of the range starts, in UTC. Raises UnsupportedParameter."""
    step, most = _STEPS[asked.step]
    for name, moment in (("from", asked.from_), ("to", asked.to)):
        if (moment - _EPOCH) % step:
            raise UnsupportedParameter(
                f"`{name}` must be the start of a whole {asked.step} in UTC."
            )
    count = (asked.to - asked.from_) // step
    if not 1 <= count <= most:
        raise UnsupportedParameter(
            f"From `from` to `to` it must be 1 to {most} {asked.step}s; it is {count}."
        )
    first = asked.from_.astimezone(UTC)
    return [first + n * step for n in range(count)]
