"""How a project stands, as far as its requests are concerned."""

from enum import StrEnum


class Standing(StrEnum):
    """What accounts says of it now."""

    RUNNING = "running"
    PAUSED = "paused"
    ERASED = "erased"
    FORGOTTEN = "forgotten"
    """Erased with its account: nothing is to be kept that is known of it."""
