"""Which event leads to which use case."""

from functools import partial
from typing import Final

from libs.common.broker.dispatch import Handlers
from libs.common.broker.topology import EXECUTOR_ACCOUNTS, EXECUTOR_PROJECTS
from libs.common.contracts.accounts import (
    AccountDeleted,
    AccountDeletionStarted,
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
)
from services.executor.ports import DispatcherPorts
from services.executor.use_cases import projects

QUEUES: Final = (EXECUTOR_PROJECTS, EXECUTOR_ACCOUNTS)


def handlers(ports: DispatcherPorts) -> Handlers:
    """The table."""
    return {
        ProjectPaused: partial(projects.follow, ports),
        ProjectResumed: partial(projects.follow, ports),
        ProjectDeleted: partial(projects.follow, ports),
        AccountDeletionStarted: partial(projects.follow_all, ports),
        AccountDeleted: partial(projects.forget_all, ports),
    }
