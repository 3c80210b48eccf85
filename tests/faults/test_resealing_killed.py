"""The change of sealing keys is killed at every batch: each value opens at every moment."""

import asyncio
from collections.abc import Iterator

import pytest

from deploy.keys.material import Material, SealingPair, new_sealing_pair
from deploy.local.programs import ProgramFailed
from libs.common.contracts.accounts import (
    data_key_context,
    provider_key_context,
    signing_secret_context,
)
from libs.common.crypto import KEY_ID_BYTES, SealingKey, SealingKeyring
from libs.common.database import Database
from libs.common.settings import Secret
from services.accounts.repositories.seals import SealKind, SealRepository
from tests.support.stack import System

CONTEXTS = {
    SealKind.SIGNING_SECRETS: signing_secret_context,
    SealKind.DATA_KEYS: lambda _, project_id: data_key_context(project_id),
    SealKind.PROVIDER_KEYS: provider_key_context,
}
COMMAND = ("keys", "reseal", "--json")

Opened = dict[tuple[SealKind, str], tuple[bytes, bytes]]
"""Of each value: the id of the key that it is sealed under, and what it opens to."""

# Where it dies, and how many kinds have moved by then. A kind that has moved is looked at once
# more, and finds nothing: that counts as reaching the point before its commit.
DEATHS = (
    ("reseal.before_commit", 0),
    ("reseal.after_commit", 1),
    ("reseal.before_commit:2", 1),
    ("reseal.after_commit", 2),
    ("reseal.before_commit:3", 2),
    ("reseal.after_commit", 3),
)


class Keys:
    """The system's own sealing keys and new ones, which the running processes do not have."""

    def __init__(self, old: Material) -> None:
        self.old = (old.data_plane[0], old.executor[0])
        self.new = (new_sealing_pair(), new_sealing_pair())

    def settings(
        self, newest: tuple[SealingPair, ...], older: tuple[SealingPair, ...]
    ) -> dict[str, str]:
        """For an operator who makes `newest` the keys that things are sealed with."""
        data_plane, executor = (
            f"{n.private},{o.private}" for n, o in zip(newest, older, strict=True)
        )
        return {
            "REQRUN_DATA_PLANE_KEYS": data_plane,
            "REQRUN_SEALING_KEYS": executor,
            "REQRUN_DATA_PLANE_PUBLIC_KEY": newest[0].public,
            "REQRUN_EXECUTOR_PUBLIC_KEY": newest[1].public,
        }

    def ring(self, kind: SealKind) -> SealingKeyring:
        """Opens what is sealed under either."""
        place = int(kind is SealKind.PROVIDER_KEYS)
        pairs = (self.new[place], self.old[place])
        return SealingKeyring([SealingKey.from_text(pair.private) for pair in pairs])

    def moved(self, found: Opened) -> list[tuple[SealKind, str]]:
        """What is under the new keys."""
        new = {bytes.fromhex(pair.key_id) for pair in self.new}
        return [name for name, (key_id, _) in found.items() if key_id in new]


@pytest.fixture
def keys(system: System) -> Iterator[Keys]:
    """Whatever happens, everything is under the old ones again in the end."""
    made = Keys(system.stack.site.keys.material)
    yield made
    system.stack.operate(COMMAND, made.settings(made.old, made.new))


async def opened(system: System, keys: Keys) -> Opened:
    """Every sealed value."""
    found = {}
    async with Database(Secret(system.database_url("accounts")), application="test") as db:
        for kind in SealKind:
            async with db.transaction() as tx:
                rows = await SealRepository(tx, kind).lock_older(b"", after="", limit=10_000)
            for row in rows:
                context = CONTEXTS[kind](row.id, row.project_id)
                value = keys.ring(kind).open(row.sealed, context)
                found[kind, row.id] = (row.sealed[:KEY_ID_BYTES], value)
    return found


def values_of(found: Opened) -> dict[tuple[SealKind, str], bytes]:
    return {name: value for name, (_, value) in found.items()}


@pytest.mark.slow
@pytest.mark.fault(83)
async def test_killed_at_every_batch_each_value_opens_and_the_next_run_goes_on(
    system: System, keys: Keys
) -> None:
    values = values_of(await opened(system, keys))
    settings = keys.settings(keys.new, keys.old)

    for point, moved in DEATHS:
        armed = settings | {"REQRUN_CRASH_AT": point}
        with pytest.raises(ProgramFailed):
            await asyncio.to_thread(system.stack.operate, COMMAND, armed)
        now = await opened(system, keys)
        assert values_of(now) == values
        assert {kind for kind, _ in keys.moved(now)} == set(list(SealKind)[:moved])

    assert {kind for kind, _ in values} == set(SealKind)
