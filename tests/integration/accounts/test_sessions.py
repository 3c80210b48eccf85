"""Logging in and staying so: who gets in, for how long, and who is told."""

import asyncio
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import select, text, update

from services.accounts.domain import passwords
from services.accounts.domain.errors import TooManyTries, WrongPassword
from services.accounts.models import Person, Session
from services.accounts.ports import Ports
from services.accounts.use_cases import hashing, recovery, sessions
from services.accounts.use_cases.sessions import Browser
from tests.support import people
from tests.support.frozen_clock import FrozenClock
from tests.support.people import EMAIL, FIREFOX, NETWORK, PASSWORD

ELSEWHERE = "198.51.100.0/24"
DAY = timedelta(days=1)


async def resumes(ports: Ports, cookie: str) -> bool:
    return await sessions.resume(ports, cookie, NETWORK) is not None


async def test_the_right_password_opens_a_session_of_which_no_secret_is_kept(ports: Ports) -> None:
    person = await people.signed_up(ports)

    cookie = await sessions.log_in(ports, "ADA@example.org", PASSWORD, FIREFOX)

    held = await sessions.resume(ports, cookie, NETWORK)
    assert held is not None
    assert held.person.id == person.id
    assert (held.session.network, held.session.agent) == (NETWORK, FIREFOX.agent)
    assert cookie.encode() not in held.session.digest
    assert len(cookie) >= 43  # 256 bits
    assert "session.started" in await people.changes(ports, person.account_id)


@pytest.mark.parametrize(
    "cookie", ["", "nobody's", "\ud800\0", "x" * 10_000], ids=["none", "a word", "no text", "long"]
)
async def test_what_is_no_cookie_of_ours_opens_nothing(ports: Ports, cookie: str) -> None:
    assert not await resumes(ports, cookie)


@pytest.mark.parametrize(
    "email",
    ["nobody@example.org", "no address", "\ud800\0", EMAIL],
    ids=["unknown", "no address", "no text", "known"],
)
@pytest.mark.parametrize(
    "password",
    ["wrong words in a row", "\ud800\0", "x" * 100_000],
    ids=["wrong", "no text", "long"],
)
async def test_known_or_not_the_refusal_is_the_same_and_so_is_the_work(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, email: str, password: str
) -> None:
    await people.signed_up(ports)
    passwords.nobodys()
    compared = []
    real = passwords.is_password

    def counted(given: str, stored: str) -> bool:
        compared.append(stored)
        return real(given, stored)

    monkeypatch.setattr(passwords, "is_password", counted)
    with pytest.raises(WrongPassword) as raised:
        await sessions.log_in(ports, email, password, FIREFOX)

    assert str(raised.value) == "This e-mail address and password do not belong together."
    assert len(compared) == 1


async def test_logging_in_makes_a_new_session_and_ends_the_browsers_old_one(ports: Ports) -> None:
    await people.signed_up(ports)
    first = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    other = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    second = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX, earlier=first)

    assert second != first
    assert [await resumes(ports, cookie) for cookie in (first, other, second)] == [
        False,
        True,
        True,
    ]


async def test_a_session_ends_when_it_was_idle_for_two_weeks(
    ports: Ports, clock: FrozenClock
) -> None:
    await people.signed_up(ports)
    cookie = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    clock.advance(13 * DAY)
    assert await resumes(ports, cookie)
    clock.advance(13 * DAY)
    assert await resumes(ports, cookie)

    clock.advance(14 * DAY)

    assert not await resumes(ports, cookie)


async def test_a_session_ends_after_ninety_days_however_often_it_is_used(
    ports: Ports, clock: FrozenClock
) -> None:
    await people.signed_up(ports)
    cookie = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    for _ in range(89):
        clock.advance(DAY)
        assert await resumes(ports, cookie)

    clock.advance(DAY)

    assert not await resumes(ports, cookie)


async def test_a_session_shows_where_it_was_seen_last(ports: Ports, clock: FrozenClock) -> None:
    await people.signed_up(ports)
    cookie = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    clock.advance(timedelta(minutes=5))
    await sessions.resume(ports, cookie, ELSEWHERE)

    held = await sessions.resume(ports, cookie, ELSEWHERE)

    assert held is not None
    [listed] = await sessions.list_of(ports, held.person)
    assert (listed.network, listed.seen_at) == (ELSEWHERE, clock.now())


async def test_logging_out_ends_the_session_at_once(ports: Ports) -> None:
    person = await people.signed_up(ports)
    cookie = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    await sessions.log_out(ports, cookie, NETWORK)
    await sessions.log_out(ports, cookie, NETWORK)

    assert not await resumes(ports, cookie)
    assert (await people.changes(ports, person.account_id)).count("session.ended") == 1


async def test_people_end_their_own_sessions_and_nobody_elses(ports: Ports) -> None:
    await people.signed_up(ports)
    await people.signed_up(ports, email="bob@example.org")
    ada, bob = await people.logged_in(ports), await people.logged_in(ports, "bob@example.org")

    await sessions.end(ports, bob.person, ada.session.id, NETWORK)
    await sessions.end(ports, bob.person, "no id", NETWORK)
    assert [one.id for one in await sessions.list_of(ports, ada.person)] == [ada.session.id]
    await sessions.end(ports, ada.person, ada.session.id, NETWORK)

    assert await sessions.list_of(ports, ada.person) == []
    assert [one.id for one in await sessions.list_of(ports, bob.person)] == [bob.session.id]


async def test_people_end_all_their_other_sessions(ports: Ports) -> None:
    await people.signed_up(ports)
    await people.signed_up(ports, email="bob@example.org")
    bob = await people.logged_in(ports, "bob@example.org")
    _, _, third = [await people.logged_in(ports) for _ in range(3)]

    assert await sessions.end_others(ports, third, NETWORK) == 2

    assert [one.id for one in await sessions.list_of(ports, third.person)] == [third.session.id]
    assert len(await sessions.list_of(ports, bob.person)) == 1


async def test_the_first_browser_is_no_news(ports: Ports) -> None:
    await people.signed_up(ports)

    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    newer = Browser(NETWORK, FIREFOX.agent.replace("140", "141"))
    await sessions.log_in(ports, EMAIL, PASSWORD, newer)

    assert "new_sign_in" not in await people.kinds(ports)


@pytest.mark.parametrize(
    "browser",
    [
        Browser(ELSEWHERE, FIREFOX.agent),
        Browser(NETWORK, "Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36"),
        Browser(NETWORK, "<b>\r\nBcc: x\0\ud800" * 100),
    ],
    ids=["another network", "another browser", "a hostile name"],
)
async def test_a_new_browser_is_told_of_by_mail_once(ports: Ports, browser: Browser) -> None:
    await people.verified(ports)
    cookie = await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    await sessions.log_out(ports, cookie, NETWORK)

    for _ in range(2):
        await sessions.log_in(ports, EMAIL, PASSWORD, browser)

    assert (await people.kinds(ports)).count("new_sign_in") == 1
    mail = await people.last_mail(ports, EMAIL)
    assert browser.network in mail.text
    assert "<b>" not in mail.html + mail.text


async def test_whoever_comes_back_after_a_year_is_told(ports: Ports, clock: FrozenClock) -> None:
    await people.verified(ports)
    clock.advance(365 * DAY)

    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    assert (await people.kinds(ports)).count("new_sign_in") == 1


async def test_guessing_from_one_place_stops_after_ten_and_the_owner_gets_in_elsewhere(
    ports: Ports, clock: FrozenClock
) -> None:
    await people.signed_up(ports)
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await sessions.log_in(ports, EMAIL, "wrong words in a row", FIREFOX)

    with pytest.raises(TooManyTries):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)
    await sessions.log_in(ports, EMAIL, PASSWORD, Browser(ELSEWHERE, FIREFOX.agent))
    clock.advance(timedelta(minutes=6))
    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)


async def test_many_who_guess_at_once_get_no_more_than_ten_tries(ports: Ports) -> None:
    await people.signed_up(ports)

    tried = await asyncio.gather(
        *(sessions.log_in(ports, EMAIL, f"wrong words {n}", FIREFOX) for n in range(24)),
        return_exceptions=True,
    )

    assert [type(one) for one in tried].count(WrongPassword) == 10
    assert [type(one) for one in tried].count(TooManyTries) == 14


async def test_whoever_knows_the_password_is_not_counted_out(ports: Ports) -> None:
    await people.signed_up(ports)

    for _ in range(12):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    assert len(await sessions.list_of(ports, await people.person(ports, EMAIL))) == 12


async def test_throttles_name_neither_people_nor_networks(ports: Ports) -> None:
    await people.signed_up(ports)
    with pytest.raises(WrongPassword):
        await sessions.log_in(ports, EMAIL, "wrong words in a row", FIREFOX)

    async with ports.db.transaction() as tx:
        names = list(await tx.scalars(text("SELECT name FROM throttles")))
    assert len(names) == 5
    assert not [name for name in names if "ada" in name or "203" in name]


async def test_an_old_kind_of_hash_is_renewed_at_the_next_log_in(ports: Ports) -> None:
    await people.signed_up(ports)
    weak = _weak_hash()
    async with ports.db.transaction() as tx:
        await tx.execute(update(Person).values(password_hash=weak))

    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    person = await people.person(ports, EMAIL)
    assert not passwords.is_outdated(person.password_hash)
    await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)


async def test_a_password_that_is_changed_while_it_is_compared_opens_nothing(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people.signed_up(ports)
    held = await people.logged_in(ports)
    real = hashing.is_password

    async def changed_meanwhile(password: str, stored: str | None) -> bool:
        is_good = await real(password, stored)
        monkeypatch.setattr(hashing, "is_password", real)
        new = "quite another set of words"
        await recovery.change_password(ports, held, PASSWORD, new, NETWORK)
        return is_good

    monkeypatch.setattr(hashing, "is_password", changed_meanwhile)
    with pytest.raises(WrongPassword):
        await sessions.log_in(ports, EMAIL, PASSWORD, FIREFOX)

    async with ports.db.transaction() as tx:
        rows = list(await tx.scalars(select(Session).where(Session.ended_at.is_(None))))
    assert [row.id for row in rows] == [held.session.id]


def _weak_hash() -> str:
    cheap = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=64)
    return cheap.derive_phc_encoded(PASSWORD.encode())
