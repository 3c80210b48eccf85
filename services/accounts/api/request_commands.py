"""The operator's commands that change a request, and those about what is past its window."""

from argparse import Namespace
from typing import Any, Final

import msgspec

from libs.common import retention as windows
from libs.common.commands import Argument, Command
from services.accounts.domain.audit import OPERATOR
from services.accounts.ports import Ports
from services.accounts.use_cases import overseeing, projects, retention


class ChangedRequestView(msgspec.Struct, frozen=True):
    """Which request it is about now: the cancelled one, or the one that a retry made."""

    request_id: str
    project_id: str


async def cancel(ports: Ports, given: Namespace, _: object) -> Any:
    """`requests cancel`."""
    project = await projects.get(ports, given.project)
    await overseeing.cancel(ports, project, given.request, OPERATOR)
    return ChangedRequestView(given.request, project.id)


async def retry(ports: Ports, given: Namespace, _: object) -> Any:
    """`requests retry`."""
    project = await projects.get(ports, given.project)
    made = await overseeing.retry(ports, project, given.request, OPERATOR)
    return ChangedRequestView(made, project.id)


async def show_retention(ports: Ports, _: Namespace, __: object) -> Any:
    """`retention show`."""
    return windows.tell_over(windows.ACCOUNTS, await retention.count_over(ports))


async def run_retention(ports: Ports, _: Namespace, __: object) -> Any:
    """`retention run`."""
    return windows.tell_swept(await retention.sweep(ports))


_PROJECT: Final[Argument] = ("--project", {"required": True, "metavar": "ID"})
_REQUEST: Final[Argument] = ("request", {"metavar": "REQUEST_ID"})

COMMANDS: Final = {
    "requests cancel": Command(
        cancel,
        "end a request that is open; it is in the customer's audit list",
        (_PROJECT, _REQUEST),
    ),
    "requests retry": Command(
        retry, "submit a failed request again; as above", (_PROJECT, _REQUEST)
    ),
    "retention show": Command(
        show_retention, "list how long each table is kept, and how much is there for longer"
    ),
    "retention run": Command(
        run_retention, "remove now what is past its window, as the worker does"
    ),
}
