"""What becomes an event, and how webhooks go out: as life has it, or as a test wants it."""

import random

import msgspec

from deploy.local.paddle.shapes import stamp
from deploy.local.paddle.store import Store, Thing
from libs.common.ids import new_id


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How webhooks are sent from now on. Held ones wait for `release`; dropped ones never go."""

    copies: int = 1
    delay_seconds: float = 0.0
    is_held: bool = False
    is_dropped: bool = False


class Teller:
    """Keeps events for the sender, within the store's change that made them true."""

    def __init__(self, store: Store) -> None:
        """As life has it."""
        self._store = store
        self.manner = Manner()

    def tell(self, event_type: str, thing: Thing) -> None:
        """`thing`: the entity as it is now."""
        manner = self.manner
        event = {
            "event_id": new_id("evt"),
            "event_type": event_type,
            "occurred_at": stamp(self._store.now()),
            "notification_id": new_id("ntf"),
            "data": thing,
        }
        state = "dropped" if manner.is_dropped else "held" if manner.is_held else "due"
        self._store.deliver(event, state=state, copies=manner.copies, delay=manner.delay_seconds)

    def release(self, order: str) -> int:
        """Send what is held: `forward`, `reversed` or `shuffled`. How many."""
        numbers = self._store.held()
        if order == "reversed":
            numbers.reverse()
        elif order == "shuffled":
            random.shuffle(numbers)
        with self._store.change():
            self._store.release(numbers)
        return len(numbers)
