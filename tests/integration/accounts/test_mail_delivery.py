"""Mails reach the relay: each in the end, none because of another, and twice only after a crash."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from libs.common.database import DatabaseAway
from libs.common.settings import Secret
from services.accounts.adapters.smtp import SmtpPost
from services.accounts.domain.letters import Envelope, Letter, LetterKind
from services.accounts.models import Mail
from services.accounts.ports import Ports
from services.accounts.repositories.mails import MailRepository
from services.accounts.use_cases import mails
from services.accounts.use_cases.mails import Delivery
from tests.support import people, relays
from tests.support.frozen_clock import FrozenClock
from tests.support.relays import Relay
from tests.support.waiting import until

FROM = "ReqRun <reqrun@app.example>"
POLL = timedelta(milliseconds=10)
LETTER = Letter(subject="Verify — grüße", text="Open ☂\n", html="<p>Open ☂</p>")


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with relays.running() as made:
        yield made


def post_to(relay: Relay, seconds: float = 5) -> SmtpPost:
    return SmtpPost(Secret(f"smtp+plain://127.0.0.1:{relay.port}"), FROM, seconds=seconds)


@asynccontextmanager
async def delivering(ports: Ports, *posts: SmtpPost) -> AsyncIterator[None]:
    """A worker for each of `posts`."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for post in posts:
            group.create_task(Delivery(ports, post, poll=POLL).run(stop))
        try:
            yield
        finally:
            stop.set()


async def write(ports: Ports, *recipients: str) -> None:
    async with ports.db.transaction() as tx:
        for to in recipients:
            MailRepository(tx).add_to(LetterKind.VERIFY, LETTER, to, at=ports.clock.now())


async def rows(ports: Ports) -> Sequence[Mail]:
    return await people.mails(ports)


async def row(ports: Ports) -> Mail:
    [only] = await rows(ports)
    return only


async def all_sent(ports: Ports) -> bool:
    return all(mail.sent_at is not None for mail in await rows(ports))


async def is_delayed(ports: Ports, tries: int = 1) -> bool:
    mail = await row(ports)
    wait = mail.due_at - ports.clock.now()
    return mail.tries == tries and wait > timedelta() and wait != mails.LEASE


async def test_a_mail_goes_out_once_with_both_parts_and_honest_headers(
    ports: Ports, relay: Relay
) -> None:
    await write(ports, "ada@example.org")

    async with delivering(ports, post_to(relay)):
        await until(lambda: all_sent(ports))

    [message] = relay.taken
    mail = await row(ports)
    assert message["To"] == "ada@example.org"
    assert message["From"] == FROM
    assert message["Subject"] == LETTER.subject
    assert message["Message-ID"] == f"<{mail.id}@app.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == mail.created_at
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == LETTER.text.strip()
    assert html.get_content().strip() == LETTER.html
    assert (mail.tries, mail.failed_at) == (1, None)


async def test_many_workers_send_each_mail_once(ports: Ports, relay: Relay) -> None:
    recipients = [f"{number}@example.org" for number in range(40)]
    await write(ports, *recipients)

    async with delivering(ports, *(post_to(relay) for _ in range(3))):
        await until(lambda: all_sent(ports))

    assert sorted(relay.recipients()) == sorted(recipients)


@pytest.mark.fault(81)
async def test_a_relay_that_is_away_loses_nothing(ports: Ports, clock: FrozenClock) -> None:
    await write(ports, "ada@example.org")
    async with relays.running() as gone:
        pass
    async with delivering(ports, post_to(gone)):
        await until(lambda: is_delayed(ports))
        assert (await row(ports)).due_at == clock.now() + timedelta(minutes=1)

        async with relays.running(port=gone.port) as back:
            clock.advance(timedelta(minutes=1))
            await until(lambda: all_sent(ports))

    assert back.recipients() == ["ada@example.org"]
    assert (await row(ports)).tries == 2


@pytest.mark.fault(81)
async def test_a_frozen_relay_loses_nothing(ports: Ports, relay: Relay, clock: FrozenClock) -> None:
    await write(ports, "ada@example.org")
    relay.moves.clear()

    async with delivering(ports, post_to(relay, seconds=0.5)):
        await until(lambda: is_delayed(ports))
        relay.moves.set()
        clock.advance(timedelta(minutes=1))
        await until(lambda: all_sent(ports))

    assert relay.recipients() == ["ada@example.org"]


@pytest.mark.fault(81)
async def test_a_slow_mail_holds_up_no_other(ports: Ports, relay: Relay) -> None:
    async with relays.running() as frozen:
        frozen.moves.clear()
        await write(ports, "slow@example.org", *(f"{n}@example.org" for n in range(12)))

        class Split:
            async def send(self, envelope: Envelope) -> None:
                to = frozen if envelope.recipient == "slow@example.org" else relay
                await post_to(to).send(envelope)

        stop = asyncio.Event()
        worker = asyncio.create_task(Delivery(ports, Split(), poll=POLL).run(stop))
        await until(lambda: len(relay.taken) == 12)
        assert not frozen.taken
        stop.set()
        frozen.moves.set()
        await worker

    assert frozen.recipients() == ["slow@example.org"]
    assert await all_sent(ports)


@pytest.mark.fault(81)
async def test_what_is_temporary_is_tried_again_later_and_later_and_given_up_after_three_days(
    ports: Ports, relay: Relay, clock: FrozenClock
) -> None:
    relay.on_content = "451 Greylisted"
    await write(ports, "ada@example.org")

    async with delivering(ports, post_to(relay)):
        for tries, minutes in ((1, 1), (2, 2), (3, 4)):
            await until(partial(is_delayed, ports, tries))
            assert (await row(ports)).due_at - clock.now() == timedelta(minutes=minutes)
            clock.advance(timedelta(minutes=minutes))
        clock.advance(timedelta(days=3))
        await until(lambda: _has_failed(ports))

    assert relay.taken == []


@pytest.mark.fault(81)
@pytest.mark.parametrize("is_about_content", [True, False], ids=["content", "recipient"])
async def test_what_is_refused_for_good_is_never_tried_again(
    ports: Ports, relay: Relay, clock: FrozenClock, *, is_about_content: bool
) -> None:
    if is_about_content:
        relay.on_content = "554 We think it is spam"
    else:
        relay.on_recipient = {"ada@example.org": "550 No such mailbox"}
    await write(ports, "ada@example.org")

    async with delivering(ports, post_to(relay)):
        await until(lambda: _has_failed(ports))
        relay.on_content, relay.on_recipient = "250 OK", {}
        clock.advance(timedelta(days=1))
        await write(ports, "bob@example.org")
        await until(lambda: len(relay.taken) == 1)

    assert relay.recipients() == ["bob@example.org"]
    assert (await rows(ports))[0].tries == 1


async def _has_failed(ports: Ports) -> bool:
    return (await row(ports)).failed_at is not None


async def test_whoever_dies_after_sending_sends_it_again_under_the_same_id(
    ports: Ports, relay: Relay, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(ports, "ada@example.org")

    class Died(Exception):
        pass

    async def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(MailRepository, "mark_sent", die)
        async with delivering(ports, post_to(relay)):
            await until(lambda: len(relay.taken) == 1)

    async with delivering(ports, post_to(relay)):
        clock.advance(mails.LEASE)
        await until(lambda: all_sent(ports))

    first, second = relay.taken
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_moment_without_the_database_does_not_send_it_twice(
    ports: Ports, relay: Relay, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(ports, "ada@example.org")
    real, failures = MailRepository.mark_sent, iter([DatabaseAway(), DatabaseAway()])

    async def fail_twice(self: MailRepository, mail_id: str, *, now: datetime) -> None:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        await real(self, mail_id, now=now)

    monkeypatch.setattr(MailRepository, "mark_sent", fail_twice)
    async with delivering(ports, post_to(relay)):
        await until(lambda: all_sent(ports))
        clock.advance(mails.LEASE)

    assert len(relay.taken) == 1


async def test_no_more_are_taken_than_there_is_room_for(ports: Ports, clock: FrozenClock) -> None:
    """However the statement is planned: a lock in a subquery that is asked again finds others."""
    await write(ports, *(f"{n}@example.org" for n in range(20)))

    async with ports.db.transaction() as tx:
        for plan in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
            await tx.execute(text(f"SET LOCAL enable_{plan} = off"))
        taken = await MailRepository(tx).claim(3, now=clock.now(), lease=mails.LEASE)

    assert len(taken) == 3


async def test_a_mail_that_is_in_hand_is_nobody_elses(
    ports: Ports, relay: Relay, clock: FrozenClock
) -> None:
    await write(ports, "ada@example.org")
    relay.moves.clear()

    async with delivering(ports, post_to(relay), post_to(relay)):
        await until(lambda: _is_taken(ports))
        clock.advance(mails.LEASE - timedelta(seconds=1))
        relay.moves.set()
        await until(lambda: all_sent(ports))

    assert len(relay.taken) == 1
    assert (await row(ports)).tries == 1


async def _is_taken(ports: Ports) -> bool:
    return (await row(ports)).tries > 0


async def test_what_waits_is_measured(ports: Ports, clock: FrozenClock) -> None:
    await write(ports, "ada@example.org")
    clock.advance(timedelta(minutes=3))
    await write(ports, "bob@example.org")
    async with relays.running() as relay:
        delivery = Delivery(ports, post_to(relay), poll=POLL)

        await delivery.measure_once()

        assert REGISTRY.get_sample_value("reqrun_mails_waiting") == 2
        assert REGISTRY.get_sample_value("reqrun_mails_oldest_age_seconds") == 180


async def test_no_log_line_holds_anything_of_a_mail(ports: Ports, relay: Relay) -> None:
    relay.on_recipient = {"canary@example.org": "550 canary@example.org is unknown"}
    relay.on_content = "451 canary-reply"
    await write(ports, "canary@example.org")
    await write(ports, "canary-two@example.org")

    with capture_logs() as lines:
        async with delivering(ports, post_to(relay)):
            await until(lambda: _are_handled(ports))

    assert {line["event"] for line in lines} >= {mails.MAIL_GIVEN_UP, mails.MAIL_DELAYED}
    for secret in ("canary", "Verify", "Open", "☂"):
        assert secret not in str(lines)


async def _are_handled(ports: Ports) -> bool:
    first, second = await rows(ports)
    return first.failed_at is not None and second.due_at - ports.clock.now() < mails.LEASE
