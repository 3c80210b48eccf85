"""When an account is told how much of its plan is used."""

from typing import Final, Literal

Percent = Literal[80, 100]

PERCENTS: Final[tuple[Percent, ...]] = (100, 80)


def reached(used: int, allowed: int) -> Percent | None:
    """The highest that is reached: who jumps over both is told of the last alone."""
    return next((percent for percent in PERCENTS if used * 100 >= allowed * percent), None)
