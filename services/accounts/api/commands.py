"""The operator's commands: a way in like the others. Arguments in, one use case, text out."""

import sys
from argparse import ArgumentParser, Namespace
from datetime import timedelta
from typing import Any, Final, get_args

import msgspec

from libs.common import commands
from libs.common.commands import Argument, Command
from libs.common.contracts.accounts import OnUnknownOutcome
from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret
from services.accounts.api import account_commands, request_commands, support_commands, views
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import SealsBroken
from services.accounts.domain.keys import Mode, NewKey, Purpose
from services.accounts.domain.projects import ProjectSettings
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, demo, keys, projects, resealing


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a command takes from elsewhere than its arguments, which everybody on a machine can see.

    `provider_key`: also read from standard input, where it is not in the environment.
    `data_plane_keys`, `sealing_keys`: private keys, comma separated, newest first; only for
    re-sealing, on a machine of the operator's.
    """

    provider_key: Secret = Secret("")
    demo_provider_url: str = ""
    demo_provider_key: Secret = Secret("")
    data_plane_keys: Secret = Secret("")
    sealing_keys: Secret = Secret("")


async def create_account(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`accounts create`."""
    account = await accounts.create(ports, given.name, PlanName(given.plan), actor=OPERATOR)
    return views.AccountView.of(account)


async def create_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects create`."""
    project = await projects.create(ports, given.account, given.name, actor=OPERATOR)
    return views.ProjectView.of(project)


async def set_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects set`."""
    hours, days = given.retention_hours, given.metadata_days
    wish = ProjectSettings(
        requests_per_minute=given.requests_per_minute,
        running=given.running,
        retention=None if hours is None else timedelta(hours=hours),
        metadata=None if days is None else timedelta(days=days),
        on_unknown_outcome=given.on_unknown_outcome,
        allowed_addresses=None if given.allow_address is None else tuple(given.allow_address),
    )
    return views.ProjectView.of(await projects.change(ports, given.project, wish, actor=OPERATOR))


async def pause_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects pause`."""
    return views.ProjectView.of(await projects.pause(ports, given.project, actor=OPERATOR))


async def resume_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects resume`."""
    return views.ProjectView.of(await projects.resume(ports, given.project, actor=OPERATOR))


async def erase_project(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`projects erase`."""
    erased = await projects.erase(ports, given.project, actor=OPERATOR, is_sure=given.yes)
    return views.ProjectView.of(erased)


async def issue_key(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys issue`."""
    wish = NewKey(
        project_id=given.project,
        mode=given.mode,
        name=given.name,
        purpose=given.purpose or Purpose.OWN_CODE,
        life=None if given.expires_days is None else timedelta(days=given.expires_days),
    )
    return views.IssuedKeyView.of(await keys.issue(ports, wish, actor=OPERATOR))


async def rotate_key(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys rotate`."""
    overlap = timedelta(hours=given.overlap_hours)
    return views.IssuedKeyView.of(await keys.rotate(ports, given.key, overlap, actor=OPERATOR))


async def revoke_key(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys revoke`."""
    return views.ApiKeyView.of(await keys.revoke(ports, given.key, actor=OPERATOR))


async def list_keys(ports: Ports, given: Namespace, _: Inputs) -> Any:
    """`keys list`."""
    return [views.ApiKeyView.of(key) for key in await keys.list_of(ports, given.project)]


async def reseal(ports: Ports, _: Namespace, inputs: Inputs) -> Any:
    """`keys reseal`; how far it is goes to standard error."""

    def show_progress(done: resealing.Resealed) -> None:
        sys.stderr.write(f"{done.kind}: {done.resealed} sealed anew, {done.broken} do not open\n")

    private = resealing.PrivateKeys(inputs.data_plane_keys, inputs.sealing_keys)
    done = await resealing.reseal(ports, private, show_progress)
    broken = sum(one.broken for one in done)
    if broken:
        raise SealsBroken(
            f"{broken} values open with none of these keys and stay as they are; all others are"
            " under the newest. Keep every old key, and run it again with all of them."
        )
    return done


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
_THE_PROJECT: Final[Argument] = ("project", {"metavar": "PROJECT_ID"})
_THE_KEY: Final[Argument] = ("key", {"metavar": "KEY_ID"})


def _purpose(flag: str, purpose: Purpose, text: str) -> Argument:
    return flag, {"action": "store_const", "dest": "purpose", "const": purpose, "help": text}


COMMANDS: Final = {
    "accounts create": Command(
        create_account,
        "open an account",
        (_NAME, ("--plan", {"choices": [*PlanName], "default": PlanName.OPERATOR})),
    ),
    **account_commands.COMMANDS,
    **support_commands.COMMANDS,
    **request_commands.COMMANDS,
    "projects create": Command(
        create_project,
        "make a project",
        (("--account", {"required": True, "metavar": "ID"}), _NAME),
    ),
    "projects set": Command(
        set_project,
        "change a project's settings; limits hold as far as its account's go",
        (
            _THE_PROJECT,
            ("--requests-per-minute", {"type": int, "metavar": "N"}),
            ("--running", {"type": int, "metavar": "N"}),
            ("--retention-hours", {"type": int, "metavar": "N"}),
            ("--metadata-days", {"type": int, "metavar": "N"}),
            ("--on-unknown-outcome", {"choices": get_args(OnUnknownOutcome)}),
            (
                "--allow-address",
                {
                    "nargs": "*",
                    "metavar": "CIDR",
                    "help": "networks calls may come from; none at all for any",
                },
            ),
        ),
    ),
    "projects pause": Command(
        pause_project, "start no new attempt and let nothing expire", (_THE_PROJECT,)
    ),
    "projects resume": Command(resume_project, "go on with a paused project", (_THE_PROJECT,)),
    "projects erase": Command(
        erase_project,
        "destroy a project's content, its API keys and its provider key, for good",
        (_THE_PROJECT, ("--yes", {"action": "store_true", "help": "that is what is wanted"})),
    ),
    "keys issue": Command(
        issue_key,
        "make an API key; it is shown this once",
        (
            _PROJECT,
            ("--mode", {"required": True, "choices": get_args(Mode)}),
            ("--name", {"default": "issued by the operator", "metavar": "NAME"}),
            _purpose("--drop-in", Purpose.STOCK_SDK, "answer as a provider would"),
            _purpose("--signed", Purpose.SIGNED, "demand a signature on every call"),
            ("--expires-days", {"type": int, "metavar": "DAYS"}),
        ),
    ),
    "keys rotate": Command(
        rotate_key,
        "make a key like this one, which goes on for a while; the new one is shown this once",
        (_THE_KEY, ("--overlap-hours", {"type": float, "default": 24.0, "metavar": "HOURS"})),
    ),
    "keys revoke": Command(revoke_key, "end an API key", (_THE_KEY,)),
    "keys reseal": Command(
        reseal,
        "move sealed values to the newest keys, with REQRUN_DATA_PLANE_KEYS, REQRUN_SEALING_KEYS",
    ),
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
        "Operate accounts, projects, API keys and provider connections; answer customers.",
        "Besides these, `web`, `worker` and `migrate` run the service.",
        COMMANDS,
    )
