"""What was opened is kept for a minute, and no longer, and not without end."""

import pytest

from libs.common.crypto import SealBroken, SealingKey, SealingKeyring
from services.executor.adapters import seals
from services.executor.adapters.seals import OpenedSeals

KEY = SealingKey.generate()


class CountingKeyring(SealingKeyring):
    """Counts what costs."""

    opened = 0

    def open(self, sealed: bytes, context: str) -> bytes:
        self.opened += 1
        return super().open(sealed, context)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keyring() -> CountingKeyring:
    return CountingKeyring([KEY])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(keyring: CountingKeyring, clock: Clock) -> OpenedSeals:
    return OpenedSeals(keyring, clock)


def test_a_seal_is_opened_once_a_minute(
    opened: OpenedSeals, keyring: CountingKeyring, clock: Clock
) -> None:
    sealed = KEY.public.seal(b"plain", "context")

    assert {opened.open(sealed, "context") for _ in range(5)} == {b"plain"}
    assert keyring.opened == 1
    clock.now += seals.KEPT_SECONDS
    assert opened.open(sealed, "context") == b"plain"
    assert keyring.opened == 2


def test_what_is_kept_opens_in_its_own_context_alone(opened: OpenedSeals) -> None:
    sealed = KEY.public.seal(b"plain", "context")
    opened.open(sealed, "context")

    with pytest.raises(SealBroken):
        opened.open(sealed, "another")


def test_the_oldest_are_forgotten(
    opened: OpenedSeals,
    keyring: CountingKeyring,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seals, "MAX_KEPT", 2)
    sealed = [KEY.public.seal(b"%d" % number, "context") for number in range(3)]
    for one in sealed:
        clock.now += 1
        opened.open(one, "context")

    opened.open(sealed[2], "context")
    opened.open(sealed[1], "context")
    assert keyring.opened == 3
    opened.open(sealed[0], "context")
    assert keyring.opened == 4
