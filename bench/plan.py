"""How much is measured in a round, and what each measurement is called."""

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds, rates per second.

    `long_backlog`: drained once, in the first round; 0 leaves it out. `slow_…`: with the provider
    that takes its time. `peer_…`: where peers are measured beside us.
    """

    callers: int = 64
    waiting_callers: tuple[int, ...] = (32, 128)
    slow_callers: tuple[int, ...] = (100, 1_000)
    backlog: int = 5_000
    long_backlog: int = 50_000
    rates: tuple[float, ...] = (50, 200, 400, 800)
    slow_rates: tuple[float, ...] = (50, 200, 400, 800)
    peer_rates: tuple[float, ...] = (50, 200)
    seconds: float = 4
    paced_seconds: float = 4
    warm_up: float = 0.75
    idle_seconds: float = 2


QUICK = Plan(
    waiting_callers=(128,),
    slow_callers=(100,),
    backlog=2_000,
    long_backlog=0,
    rates=(200,),
    slow_rates=(),
    peer_rates=(),
    seconds=2,
    warm_up=0.5,
    idle_seconds=1,
)

OURS = "ReqRun"
DIRECT = "direct"
LITELLM = "LiteLLM"
PORTKEY = "Portkey"
CELERY = "Celery"


def accepted(*, has_workers: bool) -> str:
    """The name of a measurement of accepting."""
    return f"accepted, executors {'on' if has_workers else 'off'}"


def drained(backlog: int) -> str:
    """The name of the drain of so many."""
    return f"drained, {backlog}"


def completed(callers: int, who: str = OURS) -> str:
    """The name of a measurement of wait mode."""
    return f"{who}, {callers} callers waiting"


def completed_signed(callers: int) -> str:
    """As `completed`, each request signed and with an idempotency key of its own."""
    return f"{completed(callers)}, signed, with keys"


def completed_slow(callers: int) -> str:
    """As `completed`, with the slow provider."""
    return f"{completed(callers)}, slow provider"


def paced(rate: float, who: str = OURS, *, is_slow: bool = False) -> str:
    """The name of a measurement at a fixed rate."""
    return f"{who} at {rate:g}/s{', slow provider' if is_slow else ''}"


CELERY_ENQUEUED = f"{CELERY}, enqueued"
CELERY_DRAINED = f"{CELERY}, drained"
