"""The operator's commands: a way in like the others. Arguments in, one use case, text out."""

from argparse import ArgumentParser, Namespace
from datetime import timedelta
from typing import Any, Final, get_args

import msgspec

from libs.common import commands
from libs.common.commands import Argument, Command
from libs.common.settings import Secret
from services.accounts.api import views
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.keys import Mode, NewKey, Purpose
from services.accounts.domain.plans import PlanName
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, demo, keys, projects


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a command takes from elsewhere than its arguments, which everybody on a machine can see.

    `provider_key`: also read from standard input, where it is not in the environment.
    """

    provider_key: Secret = Secret("")
    demo_provider_url: str = ""
    demo_provider_key: Secret = Secret("")


async def create_account(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`accounts create`."""
    account = await accounts.create(ports, given.name, PlanName(given.plan), actor=OPERATOR)
    return views.AccountView.of(account)


async def create_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects create`."""
    project = await projects.create(ports, given.account, given.name, actor=OPERATOR)
    return views.ProjectView.of(project)


async def issue_key(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys issue`."""
    wish = NewKey(
        project_id=given.project,
        mode=given.mode,
        name=given.name,
        purpose=Purpose.STOCK_SDK if given.drop_in else Purpose.OWN_CODE,
        life=None if given.expires_days is None else timedelta(days=given.expires_days),
    )
    issued = await keys.issue(ports, wish, actor=OPERATOR)
    return views.IssuedKeyView(issued.id, issued.text)


async def revoke_key(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys revoke`."""
    return views.ApiKeyView.of(await keys.revoke(ports, given.key, actor=OPERATOR))


async def list_keys(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys list`."""
    return [views.ApiKeyView.of(key) for key in await keys.list_of(ports, given.project)]


async def set_connection(ports: Ports, given: Namespace, inputs: Inputs) -> Any:
    """`connections set`."""
    wish = connections.NewConnection(
        project_id=given.project, base_url=given.base_url, key=inputs.provider_key
    )
    return views.ConnectionView.of(await connections.put(ports, wish, actor=OPERATOR))


async def show(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`show`: everything of one account, or the list of all."""
    if given.account is None:
        return [views.AccountView.of(account) for account in await accounts.list_all(ports)]
    return views.AccountOverviewView.of(await accounts.show(ports, given.account))


async def seed_demo(ports: Ports, given: Namespace, inputs: Inputs) -> Any:
    """`seed-demo`."""
    provider = demo.Provider(inputs.demo_provider_url, inputs.demo_provider_key)
    return await demo.seed(ports, provider, is_again=given.again)


_PROJECT: Final[Argument] = ("--project", {"required": True, "metavar": "ID"})
_NAME: Final[Argument] = ("name", {"metavar": "NAME"})

COMMANDS: Final = {
    "accounts create": Command(
        create_account,
        "open an account",
        (_NAME, ("--plan", {"choices": [*PlanName], "default": PlanName.OPERATOR})),
    ),
    "projects create": Command(
        create_project,
        "make a project",
        (("--account", {"required": True, "metavar": "ID"}), _NAME),
    ),
    "keys issue": Command(
        issue_key,
        "make an API key; it is shown this once",
        (
            _PROJECT,
            ("--mode", {"required": True, "choices": get_args(Mode)}),
            ("--name", {"default": "issued by the operator", "metavar": "NAME"}),
            ("--drop-in", {"action": "store_true", "help": "answer as a provider would"}),
            ("--expires-days", {"type": int, "metavar": "DAYS"}),
        ),
    ),
    "keys revoke": Command(revoke_key, "end an API key", (("key", {"metavar": "KEY_ID"}),)),
    "keys list": Command(list_keys, "list a project's API keys", (_PROJECT,)),
    "connections set": Command(
        set_connection,
        "give a project its provider; the key comes from REQRUN_PROVIDER_KEY or standard input",
        (_PROJECT, ("--base-url", {"required": True, "metavar": "URL"})),
    ),
    "show": Command(
        show,
        "list all accounts, or show one",
        (("account", {"nargs": "?", "metavar": "ACCOUNT_ID"}),),
    ),
    "seed-demo": Command(
        seed_demo,
        "make the demo accounts, leading to REQRUN_DEMO_PROVIDER_URL with REQRUN_DEMO_PROVIDER_KEY",
        (("--again", {"action": "store_true", "help": "issue new demo keys and end the old"}),),
    ),
}


def parser() -> ArgumentParser:
    """Of `python -m services.accounts`; `call` is the chosen command."""
    return commands.parser(
        "python -m services.accounts",
        "Operate accounts, projects, API keys and provider connections.",
        "Besides these, `web`, `worker` and `migrate` run the service.",
        COMMANDS,
    )
