"""Many live requests at once: written into the ledger as gateways do, without their door."""

import asyncio
from typing import Final

import asyncpg
import msgspec

from libs.common.content import DataKey, new_body_key
from libs.common.contracts.accounts import data_key_context
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.ids import new_id
from libs.ledger.accept import Accepted, Submission
from libs.ledger.cancel import Change
from libs.ledger.ledger import GatewayLedger
from libs.ledger.look import Question
from tests.support.ledgers import submission
from tests.support.stack import System

_OWN: Final = """
SELECT k.sealed_key, c.id FROM data_keys k JOIN provider_connections c USING (project_id)
WHERE project_id = $1
"""
_AT_ONCE: Final = 256


class Owner(msgspec.Struct, frozen=True):
    """Whose requests: an account's project, its provider connection, and its data key."""

    account_id: str
    project_id: str
    connection_id: str
    data_key: DataKey


async def owner(system: System, account_id: str, project_id: str) -> Owner:
    """A project as the gateways know it: its key is opened with theirs."""
    environment = system.process("gateway").program.environment
    texts = environment["REQRUN_DATA_PLANE_KEYS"].split(",")
    keyring = SealingKeyring(SealingKey.from_text(text) for text in texts)
    accounts = await asyncpg.connect(system.database_url("accounts"))
    try:
        row = await accounts.fetchrow(_OWN, project_id)
    finally:
        await accounts.close()
    assert row is not None
    raw = keyring.open(row["sealed_key"], data_key_context(project_id))
    return Owner(account_id, project_id, row["id"], DataKey(raw))


def wish(of: Owner, number: int) -> Submission:
    """Most are answered; every tenth is refused by the provider; prompts differ in nothing."""
    model = "sim-400" if number % 10 == 0 else "sim-ok"
    body = f'{{"model":"{model}","messages":[{{"role":"user","content":"{number % 7}"}}]}}'
    request_id, body_key = new_id("rr"), new_body_key()
    return submission(
        id=request_id,
        account_id=of.account_id,
        project_id=of.project_id,
        connection_id=of.connection_id,
        model=model,
        body=of.data_key.of(request_id, body_key).seal(body.encode(), "request"),
        body_key=body_key,
        running_limit=512,
        monthly_limit=1_000_000_000,
    )


async def submit(ledger: GatewayLedger, owners: list[Owner], count: int) -> int:
    """`count` of them, in turn of each owner; every fiftieth is cancelled at once where it can be.

    How many were accepted: all, or this raises.
    """
    accepted = 0

    async def take(number: int) -> None:
        nonlocal accepted
        of = owners[number % len(owners)]
        item = wish(of, number)
        assert isinstance(await ledger.accept(item), Accepted)
        accepted += 1
        if number % 50 == 1:
            await ledger.cancel(Change(Question(of.project_id, "live", item.id)))

    for begin in range(0, count, _AT_ONCE):
        await asyncio.gather(*map(take, range(begin, min(begin + _AT_ONCE, count))))
    return accepted
