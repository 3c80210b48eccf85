"""Events as bytes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.event import (
    Event,
    UndecodableEvent,
    decoder,
    encode,
    routing_key,
)


class DoorOpened(Event, frozen=True, kw_only=True, tag="door.opened"):
    """Somebody opened it."""

    door: str


class DoorClosed(Event, frozen=True, kw_only=True, tag="door.closed"):
    """And closed it."""

    door: str
    is_locked: bool = False


def test_the_tag_is_the_routing_key() -> None:
    assert routing_key(DoorOpened(door="front")) == "door.opened"
    assert routing_key(DoorClosed) == "door.closed"


def test_the_tag_travels_in_the_body() -> None:
    assert encode(DoorOpened(door="front")) == b'{"type":"door.opened","door":"front"}'


@given(st.text(), st.booleans())
def test_what_is_encoded_is_read_back(door: str, is_locked: bool) -> None:
    read = decoder([DoorOpened, DoorClosed])

    for event in (DoorOpened(door=door), DoorClosed(door=door, is_locked=is_locked)):
        assert read(encode(event)) == event


def test_a_reader_of_one_kind_reads_it() -> None:
    assert decoder([DoorOpened])(encode(DoorOpened(door="x"))) == DoorOpened(door="x")


def test_an_added_field_is_ignored_and_a_field_with_a_default_may_be_missing() -> None:
    read = decoder([DoorOpened, DoorClosed])

    assert read(b'{"door":"x","type":"door.closed","colour":"red"}') == DoorClosed(door="x")


@given(st.binary())
def test_any_other_bytes_are_undecodable_and_the_error_quotes_none_of_them(body: bytes) -> None:
    with pytest.raises(UndecodableEvent) as caught:
        decoder([DoorOpened, DoorClosed])(body)

    assert str(caught.value) == "These bytes are no event that is known here."
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("tag", ["door.shut", "door.opened.v2", "", 7, None])
def test_an_event_that_is_not_known_here_is_undecodable(tag: Any) -> None:
    with pytest.raises(UndecodableEvent):
        decoder([DoorOpened, DoorClosed])(msgspec.json.encode({"type": tag, "door": "x"}))


def test_an_event_without_a_tag_of_its_own_cannot_be_told() -> None:
    class Untold(Event, frozen=True):
        """Has the tag that msgspec gives by default: its name."""

    with pytest.raises(TypeError):
        encode(Untold())
