"""The operator's commands about customers: how accounts stand, who people are, who is abusive."""

from argparse import Namespace
from datetime import date, timedelta
from typing import Any, Final

from libs.common.commands import Argument, Command
from libs.common.contracts.plans import PlanName
from services.accounts.api import views
from services.accounts.domain.audit import OPERATOR
from services.accounts.ports import Ports
from services.accounts.use_cases import abuse, accounts, plans, policy, standing
from services.accounts.use_cases.policy import Announcement


async def list_accounts(ports: Ports, _: Namespace, __: object) -> Any:
    """`accounts list`."""
    return [views.AccountView.of(account) for account in await accounts.list_all(ports)]


async def show(ports: Ports, given: Namespace, _: object) -> Any:
    """`accounts show`."""
    return views.AccountOverviewView.of(await accounts.show(ports, given.account))


async def suspend(ports: Ports, given: Namespace, _: object) -> Any:
    """`accounts suspend`."""
    suspended = await standing.suspend(ports, given.account, given.reason, actor=OPERATOR)
    return views.AccountView.of(suspended)


async def resume(ports: Ports, given: Namespace, _: object) -> Any:
    """`accounts resume`."""
    return views.AccountView.of(await standing.resume(ports, given.account, actor=OPERATOR))


async def set_plan(ports: Ports, given: Namespace, _: object) -> Any:
    """`accounts plan`."""
    plan = PlanName(given.plan)
    return views.GrantView.of(await plans.grant(ports, given.account, plan, actor=OPERATOR))


async def verify(ports: Ports, given: Namespace, _: object) -> Any:
    """`accounts verify`."""
    return views.PersonView.of(await standing.verify(ports, given.account, actor=OPERATOR))


async def find_person(ports: Ports, given: Namespace, _: object) -> Any:
    """`people find`."""
    return views.PersonView.of(await standing.find_person(ports, given.email))


async def announce_policy(ports: Ports, given: Namespace, _: object) -> Any:
    """`policy announce`."""
    wish = Announcement(
        version=given.version, changes=given.changes, effective_on=given.effective_on
    )
    return views.AnnouncementView(wish.version, await policy.announce(ports, wish))


async def list_abuse(ports: Ports, given: Namespace, _: object) -> Any:
    """`abuse list`."""
    since = ports.clock.now() - timedelta(hours=given.hours)
    return [views.AbuseSignalView.of(signal) for signal in await abuse.list_recent(ports, since)]


_ACCOUNT: Final[Argument] = ("account", {"metavar": "ACCOUNT_ID"})

COMMANDS: Final = {
    "accounts list": Command(list_accounts, "list all accounts, the oldest first"),
    "accounts show": Command(
        show, "show an account with its person, projects, keys and newest audit events", (_ACCOUNT,)
    ),
    "policy announce": Command(
        announce_policy,
        "mail everybody that the policy or the terms change; run again, it tells nobody twice",
        (
            ("--version", {"required": True, "help": "as TERMS_VERSION will say"}),
            ("--changes", {"required": True, "help": "what is different, in plain words"}),
            (
                "--effective-on",
                {"required": True, "type": date.fromisoformat, "help": "such as 2026-12-31"},
            ),
        ),
    ),
    "accounts suspend": Command(
        suspend,
        "refuse all calls with the account's keys, within 5 s; what was accepted runs on",
        (
            _ACCOUNT,
            (
                "--reason",
                {"required": True, "metavar": "TEXT", "help": "one line; the customer sees it"},
            ),
        ),
    ),
    "accounts resume": Command(resume, "take calls of a suspended account again", (_ACCOUNT,)),
    "accounts plan": Command(
        set_plan,
        "grant the account a plan, its floor where more is bought; shows what billing answers",
        (_ACCOUNT, ("plan", {"choices": [*PlanName]})),
    ),
    "accounts verify": Command(
        verify,
        "take the person's e-mail address for proven; nobody is mailed",
        (_ACCOUNT,),
    ),
    "people find": Command(
        find_person,
        "show whose e-mail address it is",
        (("email", {"metavar": "EMAIL"}),),
    ),
    "abuse list": Command(
        list_abuse,
        "list what looks like abuse, by hour and network (IPv4 /24, IPv6 /48)",
        (
            (
                "--hours",
                {
                    "type": int,
                    "default": 24,
                    "metavar": "N",
                    "help": "how far back (24)",
                },
            ),
        ),
    ),
}
