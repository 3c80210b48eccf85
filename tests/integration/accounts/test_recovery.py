"""Forgotten and changed passwords."""

import asyncio
import time
from datetime import timedelta

import pytest

from services.accounts.domain.errors import (
    FieldErrors,
    LinkEnded,
    TooManyTries,
    WrongPassword,
)
from services.accounts.ports import Ports
from services.accounts.use_cases import recovery, sessions, sign_up, tries
from tests.support import people
from tests.support.frozen_clock import FrozenClock
from tests.support.people import EMAIL, FIREFOX, NETWORK, PASSWORD

NEW = "quite another set of words"


async def reset_token(ports: Ports) -> str:
    await recovery.ask_for_reset(ports, EMAIL, NETWORK)
    return people.token(await people.last_mail(ports, EMAIL))


async def test_who_owns_the_address_gets_a_link_and_chooses_a_new_password(ports: Ports) -> None:
    person = await people.signed_up(ports)
    held = await people.logged_in(ports)

    await recovery.reset(ports, await reset_token(ports), NEW, NETWORK)

    assert await sessions.list_of(ports, held.person) == []
    with pytest.raises(WrongPassword):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    await sessions.log_in(ports, EMAIL, NEW, FIREFOX)
    assert (await people.person(ports, EMAIL)).verified_at is not None
    assert await people.kinds(ports, EMAIL) == ["verify", "reset", "password_changed"]
    assert "password.reset" in await people.changes(ports, person.account_id)


async def test_known_or_not_the_answer_is_the_same_after_the_same_time(ports: Ports) -> None:
    await people.signed_up(ports)

    for email in (EMAIL, "nobody@example.org"):
        started = time.monotonic()
        await recovery.ask_for_reset(ports, email, NETWORK)
        assert time.monotonic() - started >= tries.ANSWER_SECONDS

    assert await people.kinds(ports) == ["verify", "reset"]


async def test_what_is_no_address_is_said_beside_its_field(ports: Ports) -> None:
    with pytest.raises(FieldErrors) as raised:
        await recovery.ask_for_reset(ports, "no address", NETWORK)

    assert set(raised.value.fields) == {"email"}


async def test_nobody_is_flooded_with_links(ports: Ports) -> None:
    for _ in range(5):
        await recovery.ask_for_reset(ports, "nobody@example.org", NETWORK)

    with pytest.raises(TooManyTries):
        await recovery.ask_for_reset(ports, "nobody@example.org", NETWORK)


async def test_a_weak_password_leaves_the_link_good(ports: Ports) -> None:
    await people.signed_up(ports)
    token = await reset_token(ports)

    with pytest.raises(FieldErrors) as raised:
        await recovery.reset(ports, token, "lovelace 1815", NETWORK)
    assert set(raised.value.fields) == {"password"}
    await recovery.reset(ports, token, NEW, NETWORK)


async def test_a_link_resets_once_even_if_it_is_sent_twice_at_once(ports: Ports) -> None:
    await people.signed_up(ports)
    token = await reset_token(ports)

    done = await asyncio.gather(
        *(recovery.reset(ports, token, f"{NEW} {n}", NETWORK) for n in range(4)),
        return_exceptions=True,
    )

    assert done.count(None) == 1
    assert [type(one) for one in done].count(LinkEnded) == 3
    await sessions.log_in(ports, EMAIL, f"{NEW} {done.index(None)}", FIREFOX)


async def test_the_link_ends_after_an_hour(ports: Ports, clock: FrozenClock) -> None:
    await people.signed_up(ports)
    token = await reset_token(ports)
    clock.advance(timedelta(hours=1))

    with pytest.raises(LinkEnded):
        await recovery.reset(ports, token, NEW, NETWORK)


async def test_a_link_is_good_for_its_own_purpose_only(ports: Ports) -> None:
    await people.signed_up(ports)
    verify = people.token(await people.last_mail(ports, EMAIL))
    reset = await reset_token(ports)

    with pytest.raises(LinkEnded):
        await recovery.reset(ports, verify, NEW, NETWORK)
    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, reset, NETWORK)


async def test_tokens_cannot_be_tried_without_end(ports: Ports) -> None:
    for number in range(60):
        with pytest.raises(LinkEnded):
            await sign_up.verify(ports, f"guess {number}", NETWORK)

    with pytest.raises(TooManyTries):
        await recovery.reset(ports, "guess", NEW, NETWORK)


async def test_a_change_asks_for_the_old_password_and_ends_the_other_sessions(
    ports: Ports,
) -> None:
    person = await people.verified(ports)
    other, held = await people.logged_in(ports), await people.logged_in(ports)
    reset = await reset_token(ports)

    await recovery.change_password(ports, held, PASSWORD, NEW, NETWORK)

    assert [one.id for one in await sessions.list_of(ports, person)] == [held.session.id]
    assert other.session.id != held.session.id
    await sessions.log_in(ports, EMAIL, NEW, FIREFOX)
    assert (await people.kinds(ports, EMAIL))[-1] == "password_changed"
    assert "password.changed" in await people.changes(ports, person.account_id)
    with pytest.raises(LinkEnded):
        await recovery.reset(ports, reset, PASSWORD, NETWORK)


async def test_a_change_that_is_sent_twice_is_one_and_no_mistake(ports: Ports) -> None:
    person = await people.verified(ports)
    held = await people.logged_in(ports)

    await recovery.change_password(ports, held, PASSWORD, NEW, NETWORK)
    again = held._replace(person=await people.person(ports, EMAIL))
    await recovery.change_password(ports, again, PASSWORD, NEW, NETWORK)

    changes = await people.changes(ports, person.account_id)
    assert changes.count("password.changed") == 1
    with pytest.raises(FieldErrors):
        await recovery.change_password(ports, again, PASSWORD, "another-rusty-canary-78", NETWORK)


async def test_all_that_is_wrong_with_a_change_is_said_at_once(ports: Ports) -> None:
    await people.signed_up(ports)
    held = await people.logged_in(ports)

    with pytest.raises(FieldErrors) as raised:
        await recovery.change_password(ports, held, "wrong words in a row", "short", NETWORK)

    assert set(raised.value.fields) == {"old_password", "password"}
    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)


async def test_the_password_of_an_open_session_cannot_be_guessed(ports: Ports) -> None:
    await people.signed_up(ports)
    held = await people.logged_in(ports)
    for _ in range(10):
        with pytest.raises(FieldErrors):
            await recovery.confirm(ports, held.person, "wrong words in a row", NETWORK)

    with pytest.raises(TooManyTries):
        await recovery.confirm(ports, held.person, PASSWORD, NETWORK)


async def test_a_password_is_confirmed(ports: Ports) -> None:
    await people.signed_up(ports)
    held = await people.logged_in(ports)

    for _ in range(12):
        await recovery.confirm(ports, held.person, PASSWORD, NETWORK)
