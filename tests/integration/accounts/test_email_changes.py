"""Another address to log in with; and the old one, taken back from a thief."""

import asyncio
from datetime import timedelta

import pytest

from services.accounts.domain.errors import FieldErrors, LinkEnded, WrongPassword
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.use_cases import emails, recovery, sessions, sign_up
from tests.support import people
from tests.support.frozen_clock import FrozenClock
from tests.support.people import EMAIL, FIREFOX, NETWORK, PASSWORD

NEW = "Ada@new.example"
NEW_PASSWORD = "quite another set of words"


async def asked(ports: Ports, person: Person, email: str = NEW) -> str:
    await emails.ask_to_change(ports, person, PASSWORD, email, NETWORK)
    return people.token(await people.last_mail(ports, email))


async def changed(ports: Ports, person: Person, email: str = NEW) -> str:
    """What the old mailbox gets: the link that takes it back."""
    old = person.email
    await emails.change(ports, await asked(ports, person, email), NETWORK)
    return people.token(await people.last_mail(ports, old))


async def test_the_new_address_is_proven_first_and_both_are_told(ports: Ports) -> None:
    person = await people.signed_up(ports)
    token = await asked(ports, person)
    assert (await people.person(ports, EMAIL)).id == person.id

    await emails.change(ports, token, NETWORK)

    moved = await people.person(ports, NEW)
    assert (moved.id, moved.email) == (person.id, NEW)
    assert moved.verified_at is not None
    assert await people.kinds(ports, EMAIL) == ["verify", "email_changed"]
    assert await people.kinds(ports, NEW) == ["change_email", "email_changed"]
    assert "?token=" not in (await people.last_mail(ports, NEW)).text
    await sessions.log_in(ports, NEW, PASSWORD, FIREFOX)
    with pytest.raises(WrongPassword):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    assert "email.changed" in await people.changes(ports, person.account_id)


async def test_it_takes_the_password_and_an_address(ports: Ports) -> None:
    person = await people.signed_up(ports)

    with pytest.raises(FieldErrors) as raised:
        await emails.ask_to_change(ports, person, "wrong words in a row", "no address", NETWORK)

    assert set(raised.value.fields) == {"email", "password"}


async def test_links_that_lie_in_the_old_mailbox_end(ports: Ports) -> None:
    person = await people.signed_up(ports)
    verify = people.token(await people.last_mail(ports, EMAIL))
    await recovery.ask_for_reset(ports, EMAIL, NETWORK)
    reset = people.token(await people.last_mail(ports, EMAIL))

    await changed(ports, person)

    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, verify, NETWORK)
    with pytest.raises(LinkEnded):
        await recovery.reset(ports, reset, NEW_PASSWORD, NETWORK)


async def test_an_address_that_somebody_has_is_not_given_away(ports: Ports) -> None:
    ada = await people.signed_up(ports)
    await people.signed_up(ports, email="bob@example.org")

    token = await asked(ports, ada, "BOB@example.org")
    with pytest.raises(LinkEnded):
        await emails.change(ports, token, NETWORK)

    assert (await people.person(ports, EMAIL)).id == ada.id


async def test_of_many_who_want_one_address_at_once_one_gets_it(ports: Ports) -> None:
    names = ["ada", "bob", "eve"]
    owners = [await people.signed_up(ports, email=f"{name}@example.org") for name in names]
    tokens = [await asked(ports, owner) for owner in owners]

    done = await asyncio.gather(
        *(emails.change(ports, token, NETWORK) for token in tokens),
        sign_up.sign_up(ports, people.wish(email=NEW)),
        return_exceptions=True,
    )

    won = [one for one in done[:3] if isinstance(one, Person)]
    assert len(won) <= 1
    assert [type(one) for one in done[:3]].count(LinkEnded) == 3 - len(won)
    assert done[3] is None
    assert (await people.person(ports, NEW)).id in {*(one.id for one in won)} or not won


async def test_only_the_letter_case_may_change(ports: Ports) -> None:
    person = await people.signed_up(ports)

    await emails.change(ports, await asked(ports, person, EMAIL.upper()), NETWORK)

    assert (await people.person(ports, EMAIL)).email == EMAIL.upper()


async def test_whoever_lost_an_address_to_a_thief_takes_it_back(ports: Ports) -> None:
    person = await people.signed_up(ports)
    back = await changed(ports, person)
    thief = await people.logged_in(ports, NEW)
    await recovery.ask_for_reset(ports, NEW, NETWORK)
    thiefs_reset = people.token(await people.last_mail(ports, NEW))

    await emails.restore(ports, back, NETWORK)

    assert (await people.person(ports, EMAIL)).id == person.id
    assert await sessions.list_of(ports, thief.person) == []
    with pytest.raises(WrongPassword):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    with pytest.raises(LinkEnded):
        await recovery.reset(ports, thiefs_reset, NEW_PASSWORD, NETWORK)
    assert (await people.kinds(ports, NEW))[-1] == "email_restored"
    assert "?token=" not in (await people.last_mail(ports, NEW)).text
    mine = people.token(await people.last_mail(ports, EMAIL))
    await recovery.reset(ports, mine, NEW_PASSWORD, NETWORK)
    await sessions.log_in(ports, EMAIL, NEW_PASSWORD, FIREFOX)
    assert "email.restored" in await people.changes(ports, person.account_id)


async def test_a_second_change_does_not_end_the_way_back_to_the_first_address(
    ports: Ports,
) -> None:
    person = await people.signed_up(ports)
    back = await changed(ports, person)
    await changed(ports, await people.person(ports, NEW), "third@example.org")

    await emails.restore(ports, back, NETWORK)

    assert (await people.person(ports, EMAIL)).id == person.id


async def test_an_address_can_be_taken_back_once_within_a_week(
    ports: Ports, clock: FrozenClock
) -> None:
    back = await changed(ports, await people.signed_up(ports))
    clock.advance(timedelta(days=7))

    with pytest.raises(LinkEnded):
        await emails.restore(ports, back, NETWORK)


async def test_a_new_password_does_not_end_the_way_back(ports: Ports) -> None:
    person = await people.signed_up(ports)
    back = await changed(ports, person)
    thief = await people.logged_in(ports, NEW)
    await recovery.change_password(ports, thief, PASSWORD, NEW_PASSWORD, NETWORK)

    await emails.restore(ports, back, NETWORK)

    assert (await people.person(ports, EMAIL)).id == person.id


async def test_an_address_that_is_somebody_elses_by_now_stays_theirs(ports: Ports) -> None:
    back = await changed(ports, await people.signed_up(ports))
    newcomer = await people.signed_up(ports)

    with pytest.raises(LinkEnded):
        await emails.restore(ports, back, NETWORK)

    assert (await people.person(ports, EMAIL)).id == newcomer.id
