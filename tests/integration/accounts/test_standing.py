"""What the operator decides about an account reaches its keys."""

import pytest

from libs.common.contracts.accounts import KeyContext, KeyDigests
from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import OPERATOR, Filter, Group
from services.accounts.domain.errors import AccountNotFound, InvalidReason
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, audit, key_contexts, keys, projects, standing


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


@pytest.fixture
async def digest(ports: Ports, project: Project) -> str:
    """Of a key of the project."""
    wish = NewKey(project_id=project.id, mode="test", name="mine", purpose=Purpose.OWN_CODE)
    return ports.digest((await keys.issue(ports, wish, actor=OPERATOR)).text).hex()


async def resolve(ports: Ports, digest: str) -> KeyContext:
    [context] = await key_contexts.resolve(ports, [KeyDigests(digest)])
    return context


async def test_a_suspended_accounts_keys_say_so_until_it_is_resumed(
    ports: Ports, project: Project, digest: str
) -> None:
    await standing.suspend(ports, project.account_id, "Sends spam", actor=OPERATOR)
    assert (await resolve(ports, digest)).is_suspended

    await standing.resume(ports, project.account_id, actor=OPERATOR)
    assert not (await resolve(ports, digest)).is_suspended


async def test_a_new_reason_takes_the_place_of_the_old_one(ports: Ports, project: Project) -> None:
    for reason in ("Sends spam", " Sends  spam ", "Did not pay"):
        account = await standing.suspend(ports, project.account_id, reason, actor=OPERATOR)

    assert account.suspension_reason == "Did not pay"
    page = await audit.list_page(ports, account.id, Filter(group=Group.ACCESS))
    assert [event.detail for event in page.events] == ["Did not pay", "Sends spam", None]


@pytest.mark.parametrize("reason", ["", "\n", "a\x07b", "a" * 201], ids=["", "end", "bell", "long"])
async def test_a_reason_is_one_readable_line(ports: Ports, project: Project, reason: str) -> None:
    with pytest.raises(InvalidReason):
        await standing.suspend(ports, project.account_id, reason, actor=OPERATOR)

    assert not (await accounts.show(ports, project.account_id)).account.is_suspended


async def test_an_account_that_is_none_has_no_standing(ports: Ports) -> None:
    for ask in (
        standing.suspend(ports, "acc_none", "why", actor=OPERATOR),
        standing.resume(ports, "acc_none", actor=OPERATOR),
    ):
        with pytest.raises(AccountNotFound):
            await ask
