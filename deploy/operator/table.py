"""Every command of `reqrun` in one table, and who answers it.

Ours get a desk; a service's get that service's environment and are answered by the service itself,
as `python -m services.<name>` does, and key material's by `deploy.keys`.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any, Final

from deploy.keys import commands as of_keys
from deploy.operator import staying as of_staying
from deploy.operator import upkeep as of_upkeep
from deploy.operator.desk import Desk
from deploy.operator.doctor import commands as of_doctor
from deploy.operator.load import commands as of_load
from deploy.operator.parked import commands as of_parked
from deploy.operator.requests import commands as of_requests
from libs.common import commands
from libs.common.commands import Command
from services.accounts import __main__ as accounts
from services.accounts.api import commands as of_accounts
from services.billing import __main__ as billing
from services.billing.api import commands as of_billing

Answerer = Callable[[Desk, Namespace], Any]
"""Answers a command, as data."""

OURS: Final[Mapping[str, Command]] = {
    **of_doctor.COMMANDS,
    **of_requests.COMMANDS,
    **of_parked.COMMANDS,
    **of_upkeep.COMMANDS,
    **of_load.COMMANDS,
    **of_staying.COMMANDS,
}
HANDED_ON: Final = ("accounts", "people", "policy", "projects", "connections", "keys", "support",
                    "abuse")  # fmt: skip
"""Groups of accounts' commands. Its `show` is `accounts show`; `seed-demo` is for `make up`."""

_OF_ACCOUNTS: Final = {
    words: command
    for words, command in of_accounts.COMMANDS.items()
    if words.partition(" ")[0] in HANDED_ON
}
_OF_MATERIAL: Final = {f"keys material {words}": one for words, one in of_keys.COMMANDS.items()}


def parser() -> ArgumentParser:
    """Of all of them; `words` is the chosen command."""
    return commands.parser(
        "reqrun",
        "Operate ReqRun.",
        "Exit codes: 0 fine; 1 something is wrong, or nothing was found; 2 the command line is.",
        {**_OF_ACCOUNTS, **of_billing.COMMANDS, **_OF_MATERIAL, **OURS},
    )


def answer(desk: Desk, given: Namespace) -> Any:
    """What the chosen command answers. Raises what its owner does."""
    return _answerer(given.words)(desk, given)


def _answerer(words: str) -> Answerer:
    if words in OURS:
        return _of_ours
    if words in _OF_MATERIAL:
        return _of_material
    return _of_accounts if words in _OF_ACCOUNTS else _of_billing


def _of_ours(desk: Desk, given: Namespace) -> Any:
    return asyncio.run(given.call(desk, given))


def _of_material(_: Desk, given: Namespace) -> Any:
    return given.call(given)


def _of_accounts(desk: Desk, given: Namespace) -> Any:
    return accounts.answer(given, desk.installation.part("accounts"))


def _of_billing(desk: Desk, given: Namespace) -> Any:
    return billing.answer(given, desk.installation.part("billing"))
