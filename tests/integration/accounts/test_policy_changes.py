"""A change of the policy is told to everybody, once, before it holds."""

from datetime import date, timedelta

import pytest

from services.accounts.domain.errors import InvalidAnnouncement
from services.accounts.ports import Ports
from services.accounts.use_cases import policy
from services.accounts.use_cases.policy import Announcement
from tests.support.customers import mails_to, signed_up
from tests.support.frozen_clock import FrozenClock


def announcement(clock: FrozenClock, **changes: object) -> Announcement:
    wish = {
        "version": "2027-01-01",
        "changes": "We add a sub-processor.\nNothing else.",
        "effective_on": clock.now().date() + timedelta(days=30),
        **changes,
    }
    return Announcement(**wish)  # type: ignore[arg-type]  # as the tests say


async def test_everybody_is_told_once_of_each_version(
    ports: Ports, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_TOGETHER", 2)
    for name in ("ada", "bob", "eve"):
        await signed_up(ports, f"{name}@example.org", name)

    assert await policy.announce(ports, announcement(clock)) == 3
    assert await policy.announce(ports, announcement(clock)) == 0
    assert await policy.announce(ports, announcement(clock, version="2027-02-01")) == 3

    (told, _) = [m for m in await mails_to(ports, "ada@example.org") if m.kind == "policy_changed"]
    assert "We add a sub-processor." in told.text
    assert "/privacy" in told.text


async def test_who_accepted_that_very_version_is_not_told(ports: Ports, clock: FrozenClock) -> None:
    await signed_up(ports)

    assert await policy.announce(ports, announcement(clock, version=ports.terms_version)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"version": ""},
        {"version": "x" * 21},
        {"changes": " "},
        {"changes": "a\x00"},
        {"changes": "x" * 4_001},
        {"effective_on": date(2020, 1, 1)},
    ],
    ids=["no version", "long version", "no words", "control", "long", "past"],
)
async def test_what_cannot_be_told_is_refused_and_nobody_is_mailed(
    ports: Ports, clock: FrozenClock, changes: dict[str, object]
) -> None:
    await signed_up(ports)
    with pytest.raises(InvalidAnnouncement):
        await policy.announce(ports, announcement(clock, **changes))

    assert [mail.kind for mail in await mails_to(ports, "ada@example.org")] == ["verify"]
