"""The demo accounts of a local installation, made of the same steps an operator would take."""

from typing import Final

import msgspec

from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import DemoExists, DemoForbidden
from services.accounts.domain.keys import Mode, NewKey, Purpose
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, keys, projects

DEMO: Final = "Demo"
FREE: Final = "Free"


class Provider(msgspec.Struct, frozen=True):
    """Where live keys of the demo lead."""

    base_url: str
    key: Secret


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything somebody needs to try it; the keys are shown here only."""

    account_id: str
    project_id: str
    test_key: str
    live_key: str
    drop_in_key: str
    signed_key: str
    signing_secret: str
    free_account_id: str
    free_project_id: str
    free_key: str
    provider_url: str


async def seed(ports: Ports, provider: Provider, *, is_again: bool) -> Demo:
    """Make what is missing and issue new keys.

    Where the demo is there already, that ends its old keys, so it happens only with `is_again`
    (also the way out of a seed that was interrupted). Raises DemoForbidden, DemoExists.
    """
    if ports.is_production:
        raise DemoForbidden("This is a production installation; it gets no demo keys.")
    if not is_again and await accounts.find_by_name(ports, DEMO) is not None:
        raise DemoExists("The demo is there. Use --again for new keys, which ends the old ones.")
    demo = await _project(ports, DEMO, PlanName.OPERATOR, provider)
    free = await _project(ports, FREE, PlanName.FREE, provider)
    signed = await _issue(ports, demo, "test", Purpose.SIGNED)
    return Demo(
        account_id=demo.account_id,
        project_id=demo.id,
        test_key=await _key(ports, demo, "test", Purpose.OWN_CODE),
        live_key=await _key(ports, demo, "live", Purpose.OWN_CODE),
        drop_in_key=await _key(ports, demo, "live", Purpose.STOCK_SDK),
        signed_key=signed.text,
        signing_secret=signed.signing_secret or "",
        free_account_id=free.account_id,
        free_project_id=free.id,
        free_key=await _key(ports, free, "live", Purpose.OWN_CODE),
        provider_url=provider.base_url,
    )


async def _project(ports: Ports, name: str, plan: PlanName, provider: Provider) -> Project:
    account = await accounts.find_by_name(ports, name)
    if account is None:
        account = await accounts.create(ports, name, plan, actor=OPERATOR)
    project = await projects.find_by_name(ports, account.id, name)
    if project is None:
        project = await projects.create(ports, account.id, name, actor=OPERATOR)
    wish = connections.NewConnection(
        project_id=project.id, base_url=provider.base_url, key=provider.key
    )
    await connections.put(ports, wish, actor=OPERATOR)
    return project


async def _key(ports: Ports, project: Project, mode: Mode, purpose: Purpose) -> str:
    return (await _issue(ports, project, mode, purpose)).text


async def _issue(ports: Ports, project: Project, mode: Mode, purpose: Purpose) -> keys.IssuedKey:
    """A new key of this kind, in the place of the ones the demo had."""
    name = f"demo {mode} {purpose}"
    for old in await keys.list_of(ports, project.id):
        if old.name == name and old.revoked_at is None:
            await keys.revoke(ports, old.id, actor=OPERATOR)
    wish = NewKey(project_id=project.id, mode=mode, name=name, purpose=purpose)
    return await keys.issue(ports, wish, actor=OPERATOR)
