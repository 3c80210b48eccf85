"""The operator's commands about support messages."""

from argparse import Namespace
from typing import Any, Final

from libs.common.commands import Argument, Command
from services.accounts.api import views
from services.accounts.domain.support import State
from services.accounts.ports import Ports
from services.accounts.use_cases import support

_ALL: Final = "all"


async def list_messages(ports: Ports, given: Namespace, _: object) -> Any:
    """`support list`."""
    state = None if given.state == _ALL else State(given.state)
    return [views.SupportMessageView.of(one) for one in await support.list_all(ports, state)]


async def show(ports: Ports, given: Namespace, _: object) -> Any:
    """`support show`."""
    return views.ThreadView.of(await support.show_any(ports, given.message))


async def reply(ports: Ports, given: Namespace, _: object) -> Any:
    """`support reply`; without `--text` the text comes from standard input."""
    return views.ThreadView.of(await support.answer(ports, given.message, given.text))


async def close(ports: Ports, given: Namespace, _: object) -> Any:
    """`support close`."""
    return views.SupportMessageView.of(await support.close_any(ports, given.message))


_MESSAGE: Final[Argument] = ("message", {"metavar": "MESSAGE_ID"})

COMMANDS: Final = {
    "support list": Command(
        list_messages,
        "list support messages, who has waited longest first",
        (
            (
                "--state",
                {
                    "choices": [*State, _ALL],
                    "default": State.OPEN,
                    "help": "open (the operator's turn) unless given",
                },
            ),
        ),
    ),
    "support show": Command(show, "show a support message with all that was written", (_MESSAGE,)),
    "support reply": Command(
        reply,
        "answer a support message; the customer gets it by mail",
        (
            _MESSAGE,
            ("--text", {"metavar": "TEXT", "help": "from standard input unless given"}),
        ),
    ),
    "support close": Command(
        close, "close a support message; nobody is told, a reply opens it again", (_MESSAGE,)
    ),
}
