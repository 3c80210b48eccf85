from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.content import BodyKind, BodySeal, DataKey, new_body_key, new_data_key
from libs.common.crypto import SealBroken

DATA_KEY, BODY_KEY = new_data_key(), new_body_key()
PLACES: tuple[tuple[str, BodyKind, int], ...] = tuple(
    product(("rr_a", "rr_b"), ("request", "result", "provider_error"), (0, 1))
)


def seal_of(request_id: str = "rr_a", body_key: bytes = BODY_KEY) -> BodySeal:
    return DataKey(DATA_KEY).of(request_id, body_key)


@given(st.binary(max_size=4096))
def test_what_is_sealed_opens_and_shows_nothing(plain: bytes) -> None:
    sealed = seal_of().seal(plain, "request")

    assert seal_of().open(sealed, "request") == plain
    assert len(plain) < 8 or plain not in sealed


@pytest.mark.parametrize("there", PLACES[1:])
def test_a_body_that_is_moved_does_not_open(there: tuple[str, BodyKind, int]) -> None:
    sealed = seal_of("rr_a").seal(b"plain", "request", 0)
    request_id, kind, number = there

    with pytest.raises(SealBroken):
        seal_of(request_id).open(sealed, kind, number)


def test_either_half_alone_opens_nothing() -> None:
    sealed = seal_of().seal(b"plain", "result")

    with pytest.raises(SealBroken):
        seal_of(body_key=new_body_key()).open(sealed, "result")
    with pytest.raises(SealBroken):
        DataKey(new_data_key()).of("rr_a", BODY_KEY).open(sealed, "result")


@given(st.data())
def test_one_bit_that_is_changed_is_found(data: st.DataObject) -> None:
    sealed = bytearray(seal_of().seal(b"plain", "result"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(SealBroken):
        seal_of().open(bytes(sealed), "result")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(40)])
def test_what_is_no_sealed_body_is_refused(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        seal_of().open(sealed, "result")


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_what_is_no_data_key_is_refused(raw: bytes) -> None:
    with pytest.raises(SealBroken):
        DataKey(raw)


def test_nothing_is_sealed_twice_alike() -> None:
    seal = seal_of()

    assert len({seal.seal(b"plain", "request") for _ in range(1_000)}) == 1_000


def test_a_fingerprint_is_the_same_for_the_same_text_under_the_same_key_alone() -> None:
    fingerprint = DataKey(DATA_KEY).fingerprint(b"text")

    assert DataKey(DATA_KEY).fingerprint(b"text") == fingerprint
    assert DataKey(DATA_KEY).fingerprint(b"texts") != fingerprint
    assert DataKey(new_data_key()).fingerprint(b"text") != fingerprint
