"""Events: facts in the past tense, on the wire.

An event is a frozen Struct whose tag is its routing key; the tag also travels in the body, as
`type`. Readers are tolerant: a field they do not know is ignored, so adding one breaks nobody. A
change that would break readers is a new event with a new tag, which older readers park.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events. Subclass with `frozen=True, kw_only=True, tag="noun.happened"`."""


class UndecodableEvent(ValueError):
    """The bytes are no event that this reader knows. Carries none of them."""


def routing_key(event: Event | type[Event]) -> str:
    """The event's tag: what queues bind to. Raises TypeError on a kind without one of its own."""
    kind = event if isinstance(event, type) else type(event)
    tag = kind.__struct_config__.tag
    if not isinstance(tag, str) or "." not in tag:
        raise TypeError(f"{kind.__qualname__} has no tag of the form noun.happened")
    return tag


def encode(event: Event) -> bytes:
    """JSON with the tag in `type`. Raises TypeError on a kind without a tag of its own."""
    routing_key(event)
    return msgspec.json.encode(event)


def decoder(kinds: Iterable[type[Event]]) -> Callable[[bytes], Event]:
    """A function from bytes to one of `kinds`; it raises UndecodableEvent for anything else."""
    union: Any = reduce(or_, kinds)
    decode: Callable[[bytes], Event] = msgspec.json.Decoder(union).decode

    def read(body: bytes) -> Event:
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # The library's text may quote the body, so it does not travel on.
            raise UndecodableEvent("These bytes are no event that is known here.") from None

    return read
