"""Support messages, between customer and operator."""

import asyncio
from datetime import timedelta

import pytest

from services.accounts.domain.audit import Filter
from services.accounts.domain.errors import FieldErrors, SupportMessageNotFound, TooManyTries
from services.accounts.domain.support import Draft, Kind, State
from services.accounts.models import SupportMessage
from services.accounts.ports import Ports
from services.accounts.use_cases import audit, support
from tests.support.customers import NETWORK, customer, mails_to
from tests.support.frozen_clock import FrozenClock

DRAFT = Draft(kind=Kind.PRIVACY, subject="Object", text="Stop <b>that</b>,\nplease.")


def numbered(number: int) -> Draft:
    return Draft(kind=Kind.QUESTION, subject=f"Question {number}", text="Why?")


async def kinds_of(ports: Ports, recipient: str) -> list[str]:
    return [mail.kind for mail in await mails_to(ports, recipient)]


def texts(thread: support.Thread) -> list[tuple[str, str]]:
    return [(entry.author, entry.text) for entry in thread.entries]


async def test_a_message_is_kept_and_both_sides_are_told(ports: Ports) -> None:
    person = (await customer(ports)).person

    sent = await support.send(ports, person, DRAFT, NETWORK)

    assert [one.id for one in await support.list_of(ports, person.account_id)] == [sent.id]
    thread = await support.show(ports, person.account_id, sent.id)
    assert (thread.message.kind, thread.message.state) == (Kind.PRIVACY, State.OPEN)
    assert texts(thread) == [("customer", "Stop <b>that</b>,\nplease.")]
    [to_operator] = await mails_to(ports, ports.support_address)
    assert to_operator.kind == "support_new"
    assert person.email in to_operator.text
    assert "Stop <b>that</b>" in to_operator.text
    assert "Stop <b>that</b>" not in to_operator.html
    assert (await kinds_of(ports, person.email))[-1] == "support_received"


async def test_a_conversation_goes_to_and_fro(ports: Ports, clock: FrozenClock) -> None:
    person = (await customer(ports)).person
    sent = await support.send(ports, person, DRAFT, NETWORK)

    answered = await support.answer(ports, sent.id, "We did.")
    assert answered.message.state == State.ANSWERED
    [*_, told] = await mails_to(ports, person.email)
    assert (told.kind, "We did." in told.text) == ("support_reply", True)

    clock.advance(timedelta(minutes=1))
    replied = await support.reply(ports, person, sent.id, "Thank you.", NETWORK)
    assert (replied.message.state, replied.message.updated_at) == (State.OPEN, clock.now())
    assert texts(replied)[1:] == [("operator", "We did."), ("customer", "Thank you.")]
    assert await kinds_of(ports, ports.support_address) == ["support_new"] * 2

    seen = await audit.list_page(ports, person.account_id, Filter())
    whats = [(event.what, event.actor, event.network) for event in seen.events][:3]
    assert whats == [
        ("support.sent", person.id, NETWORK),
        ("support.answered", "operator", None),
        ("support.sent", person.id, NETWORK),
    ]


async def test_either_side_closes_and_a_reply_opens_again(ports: Ports, clock: FrozenClock) -> None:
    person = (await customer(ports)).person
    sent = await support.send(ports, person, DRAFT, NETWORK)

    async def close(*, is_operator: bool) -> SupportMessage:
        if is_operator:
            return await support.close_any(ports, sent.id)
        return await support.close(ports, person, sent.id, NETWORK)

    for is_operator in (False, True):
        closed = await close(is_operator=is_operator)
        assert (closed.state, closed.closed_at) == (State.CLOSED, clock.now())
        await close(is_operator=is_operator)  # harmless
        again = await support.reply(ports, person, sent.id, "One more thing.", NETWORK)
        assert (again.message.state, again.message.closed_at) == (State.OPEN, None)

    seen = await audit.list_page(ports, person.account_id, Filter())
    closings = [event.actor for event in seen.events if event.what == "support.closed"]
    assert closings == ["operator", person.id]


async def test_a_strangers_message_is_not_found(ports: Ports) -> None:
    mine = (await customer(ports)).person
    stranger = (await customer(ports, "bob@example.org", "Bob")).person
    sent = await support.send(ports, mine, DRAFT, NETWORK)

    for ask in (
        support.show(ports, stranger.account_id, sent.id),
        support.reply(ports, stranger, sent.id, "Hello", NETWORK),
        support.close(ports, stranger, sent.id, NETWORK),
        support.show(ports, mine.account_id, "msg_none"),
        support.answer(ports, "msg_none", "Hello"),
        support.close_any(ports, "msg_none"),
    ):
        with pytest.raises(SupportMessageNotFound):
            await ask
    assert await support.list_of(ports, stranger.account_id) == []
    assert len((await support.show(ports, mine.account_id, sent.id)).entries) == 1


async def test_ten_a_day_are_enough(ports: Ports, clock: FrozenClock) -> None:
    person = (await customer(ports)).person
    sent = [await support.send(ports, person, numbered(n), NETWORK) for n in range(10)]

    with pytest.raises(TooManyTries):
        await support.send(ports, person, DRAFT, NETWORK)
    with pytest.raises(TooManyTries):
        await support.reply(ports, person, sent[0].id, "More", NETWORK)
    assert len(await kinds_of(ports, ports.support_address)) == 10

    clock.advance(timedelta(days=1))
    await support.reply(ports, person, sent[0].id, "More", NETWORK)


async def test_what_cannot_be_sent_costs_no_try_and_no_mail(ports: Ports) -> None:
    person = (await customer(ports)).person

    for _ in range(11):
        with pytest.raises(FieldErrors):
            await support.send(ports, person, Draft(kind=Kind.BUG, subject="", text=""), NETWORK)
        with pytest.raises(SupportMessageNotFound):
            await support.reply(ports, person, "msg_none", "Hello", NETWORK)

    await support.send(ports, person, DRAFT, NETWORK)
    assert await kinds_of(ports, ports.support_address) == ["support_new"]


async def test_who_presses_the_button_twice_has_written_once(
    ports: Ports, clock: FrozenClock
) -> None:
    person = (await customer(ports)).person

    sent, again = await asyncio.gather(
        *(support.send(ports, person, DRAFT, NETWORK) for _ in range(2))
    )
    assert sent.id == again.id
    for _ in range(2):
        thread = await support.reply(ports, person, sent.id, "Please.", NETWORK)
    assert len(thread.entries) == 2
    assert len(await kinds_of(ports, ports.support_address)) == 2

    clock.advance(timedelta(hours=1))
    assert (await support.send(ports, person, DRAFT, NETWORK)).id != sent.id


async def test_the_operator_sees_who_waits_longest(ports: Ports, clock: FrozenClock) -> None:
    person = (await customer(ports)).person

    async def send(number: int) -> SupportMessage:
        clock.advance(timedelta(minutes=1))
        return await support.send(ports, person, numbered(number), NETWORK)

    first, second, third = await send(1), await send(2), await send(3)
    clock.advance(timedelta(minutes=1))
    await support.reply(ports, person, first.id, "Well?", NETWORK)
    await support.answer(ports, third.id, "So it is.")

    open_ones = await support.list_all(ports, State.OPEN)
    assert [one.id for one in open_ones] == [second.id, first.id]
    assert [one.id for one in await support.list_all(ports, State.ANSWERED)] == [third.id]
    assert len(await support.list_all(ports, None)) == 3
