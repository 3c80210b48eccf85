"""Signing up: what opens an account, who is told, and what nobody finds out."""

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from libs.common.contracts.plans import PlanName
from services.accounts.domain import passwords, throttles
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.emails import Email
from services.accounts.domain.errors import FieldErrors, LinkEnded, NotVerified, TooManyTries
from services.accounts.domain.keys import Mode, NewKey
from services.accounts.models import Account, Link, Person
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, keys, projects, recovery, sign_up, tries
from tests.support import people
from tests.support.frozen_clock import FrozenClock
from tests.support.people import EMAIL, NETWORK, PASSWORD


async def count(ports: Ports, table: type[Account | Person | Link]) -> int:
    async with ports.db.transaction() as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


async def issue(ports: Ports, account_id: str, mode: Mode) -> keys.IssuedKey:
    project = await projects.create(ports, account_id, "Chat", actor=OPERATOR)
    wish = NewKey(project_id=project.id, mode=mode, name="a key")
    return await keys.issue(ports, wish, actor=OPERATOR)


async def test_whoever_signs_up_has_an_account_and_a_link_in_the_mailbox(ports: Ports) -> None:
    person = await people.signed_up(ports)

    assert (person.email, person.name, person.country) == (EMAIL, "Ada Lovelace", "GB")
    assert person.verified_at is None
    assert person.terms_version == ports.terms_version
    assert person.terms_accepted_at == ports.clock.now()
    assert not person.wants_notices
    assert await people.kinds(ports) == ["verify"]
    assert (await people.last_mail(ports, EMAIL)).text.count(f"{ports.base_url}/verify?token=") == 1
    assert await people.changes(ports, person.account_id) == ["account.created"]
    overview = await accounts.show(ports, person.account_id)
    assert overview.account.name == "Engines Ltd"


async def test_what_is_kept_opens_nothing(ports: Ports) -> None:
    person = await people.signed_up(ports)
    token = people.token(await people.last_mail(ports, EMAIL))

    assert PASSWORD not in person.password_hash
    assert person.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    async with ports.db.transaction() as tx:
        link = (await tx.scalars(select(Link))).one()
    assert token.encode() not in link.digest


async def test_all_that_is_wrong_with_the_form_is_said_at_once(ports: Ports) -> None:
    with pytest.raises(FieldErrors) as raised:
        await people.signed_up(
            ports,
            email="ada@",
            password="short",
            name="A\r\nBcc: x@y.org",
            company="\ud800",
            country="XX",
            has_accepted=False,
        )

    fields = {"email", "password", "name", "company", "country", "has_accepted"}
    assert set(raised.value.fields) == fields
    assert all(text.endswith(".") for text in raised.value.fields.values())
    assert await people.mails(ports) == []


async def test_the_owner_of_a_known_address_is_told_and_nobody_else(ports: Ports) -> None:
    await people.signed_up(ports)
    before = await people.person(ports, EMAIL)

    await sign_up.sign_up(ports, people.wish(email="ADA@example.ORG", password="another good one"))

    assert await people.kinds(ports, EMAIL) == ["verify", "address_known"]
    assert (await people.person(ports, EMAIL)).password_hash == before.password_hash
    assert await count(ports, Account) == 1


async def test_known_or_not_one_password_is_hashed_and_the_answer_takes_its_time(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    real = passwords.hash_password

    def counted(password: str) -> str:
        hashed.append(password)
        return real(password)

    monkeypatch.setattr(passwords, "hash_password", counted)
    for _ in ("unknown", "known"):
        started = time.monotonic()
        await sign_up.sign_up(ports, people.WISH)
        assert time.monotonic() - started >= tries.ANSWER_SECONDS

    assert len(hashed) == 2


async def test_two_who_sign_up_at_once_with_one_address_get_one_account(ports: Ports) -> None:
    await asyncio.gather(*(sign_up.sign_up(ports, people.WISH) for _ in range(4)))

    assert await count(ports, Account) == await count(ports, Person) == 1
    kinds = await people.kinds(ports, EMAIL)
    assert sorted(kinds) == ["address_known"] * 3 + ["verify"]


async def test_the_link_proves_the_address_once(ports: Ports) -> None:
    person = await people.signed_up(ports)
    token = people.token(await people.last_mail(ports, EMAIL))

    proven = await sign_up.verify(ports, token, NETWORK)

    assert proven.id == person.id
    assert proven.verified_at == ports.clock.now()
    assert await people.kinds(ports, EMAIL) == ["verify", "welcome"]
    assert "account.verified" in await people.changes(ports, person.account_id)
    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, token, NETWORK)


async def test_of_many_who_open_one_link_at_once_one_gets_in(ports: Ports) -> None:
    await people.signed_up(ports)
    token = people.token(await people.last_mail(ports, EMAIL))

    opened = await asyncio.gather(
        *(sign_up.verify(ports, token, NETWORK) for _ in range(6)), return_exceptions=True
    )

    assert [type(one) for one in opened].count(Person) == 1
    assert [type(one) for one in opened].count(LinkEnded) == 5
    assert (await people.kinds(ports, EMAIL)).count("welcome") == 1


async def test_the_link_ends_after_a_day(ports: Ports, clock: FrozenClock) -> None:
    await people.signed_up(ports)
    token = people.token(await people.last_mail(ports, EMAIL))
    clock.advance(timedelta(hours=24))

    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, token, NETWORK)


async def test_another_link_ends_the_first_one(ports: Ports) -> None:
    person = await people.signed_up(ports)
    first = people.token(await people.last_mail(ports, EMAIL))
    await sign_up.send_link_again(ports, person, NETWORK)
    second = people.token(await people.last_mail(ports, EMAIL))

    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, first, NETWORK)
    proven = await sign_up.verify(ports, second, NETWORK)
    await sign_up.send_link_again(ports, proven, NETWORK)

    assert await people.kinds(ports, EMAIL) == ["verify", "verify", "welcome"]


@pytest.mark.parametrize(
    "token", ["", "x", "\ud800", "\0" * 300], ids=["none", "a word", "no text", "zeros"]
)
async def test_what_is_no_link_is_one_that_has_ended(ports: Ports, token: str) -> None:
    with pytest.raises(LinkEnded):
        await sign_up.verify(ports, token, NETWORK)


async def test_until_then_there_are_test_keys_only(ports: Ports) -> None:
    person = await people.signed_up(ports)

    await issue(ports, person.account_id, "test")
    with pytest.raises(NotVerified):
        await issue(ports, person.account_id, "live")
    await sign_up.verify(ports, people.token((await people.mails(ports, EMAIL))[0]), NETWORK)
    await issue(ports, person.account_id, "live")

    kinds = await people.kinds(ports, EMAIL)
    assert kinds == ["verify", "welcome", "key_created"]


async def test_nobody_writes_to_a_stranger_by_signing_up_with_their_address(ports: Ports) -> None:
    mallory = await people.signed_up(ports, name="Buy at evil.example")

    for _ in range(3):
        await issue(ports, mallory.account_id, "test")
        await people.logged_in(ports)
    await recovery.ask_for_reset(ports, EMAIL, NETWORK)

    mails = await people.mails(ports, EMAIL)
    assert [mail.kind for mail in mails] == ["verify", "reset"]
    assert not any("evil.example" in mail.text + mail.html for mail in mails)


async def test_the_mail_about_a_key_does_not_hold_it(ports: Ports) -> None:
    person = await people.verified(ports)

    issued = await issue(ports, person.account_id, "live")

    mail = await people.last_mail(ports, EMAIL)
    assert f"reqrun_live_…{issued.text[-4:]}" in mail.text
    assert issued.text not in mail.text + mail.html


async def test_an_account_that_the_operator_opened_has_nobody_to_verify(ports: Ports) -> None:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)

    await issue(ports, account.id, "live")

    assert await people.mails(ports) == []


async def test_one_address_is_written_to_five_times_an_hour(
    ports: Ports, clock: FrozenClock
) -> None:
    for _ in range(5):
        await sign_up.sign_up(ports, people.WISH)
    with pytest.raises(TooManyTries) as raised:
        await sign_up.sign_up(ports, people.WISH)

    assert raised.value.retry_after == timedelta(minutes=12)
    assert len(await people.mails(ports)) == 5
    clock.advance(timedelta(minutes=12))
    await sign_up.sign_up(ports, people.WISH)


async def test_one_network_may_not_sign_up_for_ever(ports: Ports) -> None:
    for number in range(30):
        address = Email(f"{number}@example.org")
        await tries.take(ports, throttles.on_mail(address, NETWORK))

    with pytest.raises(TooManyTries):
        await sign_up.sign_up(ports, people.wish(email="new@example.org"))
    await sign_up.sign_up(ports, people.wish(email="new@example.org", network="198.51.100.0/24"))
