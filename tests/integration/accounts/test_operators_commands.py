"""The operator's commands about customers, as processes."""

import asyncio

import msgspec

from libs.common.contracts.plans import PlanName
from services.accounts.domain.abuse import Signal
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.support import Draft, Kind
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import abuse, accounts, audit, support
from tests.support.billing_stand_in import BillingStandIn, running
from tests.support.customers import NETWORK, customer, mails_to, signed_up
from tests.support.frozen_clock import FrozenClock
from tests.support.operators import Operator
from tests.support.service_keys import ServiceKey


async def test_an_operator_suspends_and_resumes_an_account(
    operator: Operator, ports: Ports
) -> None:
    account = operator.ask("accounts", "create", "Acme")["id"]

    nameless = operator.run("accounts", "suspend", account)
    assert (nameless.returncode, nameless.stdout) == (2, "")
    blank = operator.run("accounts", "suspend", account, "--reason", " ")
    assert (blank.returncode, blank.stderr) == (
        1,
        "A reason has 1 to 200 characters in one line.\n",
    )
    suspended = operator.ask("accounts", "suspend", account, "--reason", "Sends spam")
    operator.ask("accounts", "suspend", account, "--reason", "Sends spam")
    assert (suspended["is_suspended"], suspended["suspension_reason"]) == (True, "Sends spam")
    assert "Sends spam" in operator.run("accounts", "show", account).stdout
    resumed = operator.ask("accounts", "resume", account)
    operator.ask("accounts", "resume", account)
    assert (resumed["is_suspended"], resumed["suspension_reason"]) == (False, None)

    page = await audit.list_page(ports, account)
    assert [(event.what, event.detail) for event in page.events] == [
        ("account.resumed", None),
        ("account.suspended", "Sends spam"),
        ("account.created", None),
    ]


async def test_an_operator_grants_a_plan_and_sees_what_billing_answered(
    settings: Settings, ports: Ports
) -> None:
    key, billing = ServiceKey("accounts"), BillingStandIn()
    account = (await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)).id
    async with running(billing, key) as url:
        theirs = msgspec.structs.replace(settings, service_key=key.private, billing_url=url)
        operator = Operator(theirs)
        moved = await asyncio.to_thread(operator.ask, "accounts", "plan", account, "scale")
        unknown = await asyncio.to_thread(operator.run, "accounts", "plan", "acc_none", "pro")
    away = await asyncio.to_thread(operator.run, "accounts", "plan", account, "pro")

    assert (moved["account_id"], moved["plan"], moved["subscription"]) == (account, "scale", None)
    assert (moved["used"], moved["resets_on"]) == (0, "2026-04-01")
    assert [(what, whom) for what, whom, _ in billing.orders] == [("grant", account)]
    assert (unknown.returncode, away.returncode) == (1, 1)
    assert "Billing does not answer" in away.stderr
    page = await audit.list_page(ports, account)
    assert [event.detail for event in page.events] == ["pro", "scale", None]


async def test_an_operator_finds_and_verifies_people(operator: Operator, ports: Ports) -> None:
    await signed_up(ports)
    nobodys = operator.ask("accounts", "create", "Acme")["id"]

    found = operator.ask("people", "find", "ADA@example.org")
    assert (found["name"], found["verified_at"]) == ("Ada", None)
    assert "password_hash" not in found
    mails = len(await mails_to(ports, "ada@example.org"))
    verified = operator.ask("accounts", "verify", found["account_id"])
    assert verified["verified_at"] is not None
    assert operator.ask("accounts", "verify", found["account_id"]) == verified
    assert len(await mails_to(ports, "ada@example.org")) == mails
    shown = operator.ask("accounts", "show", found["account_id"])
    assert shown["person"]["email"] == "ada@example.org"
    assert [event["what"] for event in shown["events"]] == ["account.verified", "account.created"]

    for refused, text in (
        (("people", "find", "bob@example.org"), "Nobody logs in with this address.\n"),
        (("accounts", "verify", nobodys), "Nobody logs in to this account.\n"),
        (
            ("accounts", "suspend", "acc_none", "--reason", "x"),
            "There is no account with this id.\n",
        ),
    ):
        done = operator.run(*refused)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", text)


async def test_an_operator_answers_and_closes_support_messages(
    operator: Operator, ports: Ports
) -> None:
    person = (await customer(ports)).person
    draft = Draft(kind=Kind.BUG, subject="It does not work", text="Nothing\nhappens.")
    sent = await support.send(ports, person, draft, NETWORK)

    [listed] = operator.ask("support", "list")
    assert (listed["id"], listed["state"], listed["kind"]) == (sent.id, "open", "bug")
    assert "Nothing" in operator.run("support", "show", sent.id).stdout
    answered = operator.ask("support", "reply", sent.id, stdin="Try again.\nIt should work.\n")
    assert [entry["text"] for entry in answered["entries"]] == [
        "Nothing\nhappens.",
        "Try again.\nIt should work.",
    ]
    [*_, mail] = await mails_to(ports, person.email)
    assert (mail.kind, "It should work." in mail.text) == ("support_reply", True)
    assert operator.ask("support", "list") == []
    assert operator.ask("support", "reply", sent.id, "--text", "Well?")["message"]["id"] == sent.id
    assert operator.ask("support", "close", sent.id)["state"] == "closed"
    assert [one["state"] for one in operator.ask("support", "list", "--state", "all")] == ["closed"]

    empty = operator.run("support", "reply", sent.id, stdin="")
    assert (empty.returncode, empty.stdout) == (1, "")
    assert operator.run("support", "show", "msg_none").stderr == (
        "There is no support message with this id.\n"
    )


async def test_an_operator_sees_what_looks_like_abuse(
    operator: Operator, ports: Ports, clock: FrozenClock
) -> None:
    for _ in range(3):
        await abuse.note(ports, Signal.SIGN_UP, NETWORK)

    # The tests' clock stands in March; the command's does not.
    [signal] = operator.ask("abuse", "list", "--hours", "100000")
    assert (signal["what"], signal["network"], signal["count"]) == ("sign_up", NETWORK, 3)
    assert operator.ask("abuse", "list") == []
    assert operator.run("abuse", "list").stdout == "none\n"
    assert signal["started_at"] < clock.now().isoformat()
