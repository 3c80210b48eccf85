"""Data keys: every project has one from its first moment, sealed to the data plane.

Projects from before there were data keys get theirs at the first question about them. A key that
was destroyed is never replaced: what it sealed is gone for good, and so is the project.
"""

from datetime import datetime

from libs.common.content import new_data_key
from libs.common.contracts.accounts import data_key_context
from services.accounts.models import SealedDataKey
from services.accounts.ports import Ports
from services.accounts.repositories.data_keys import DataKeyRepository


def new(ports: Ports, project_id: str, at: datetime) -> SealedDataKey:
    """A fresh one; its plain bytes are forgotten here."""
    sealed = ports.data_plane_key.seal(new_data_key(), data_key_context(project_id))
    return SealedDataKey(project_id=project_id, sealed_key=sealed, created_at=at)


async def find_or_make(ports: Ports, project_id: str) -> bytes | None:
    """The project's data key, sealed, made if there never was one. None: it was destroyed."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        keys = DataKeyRepository(tx)
        if await keys.claim(project_id, at=now):
            await keys.add(new(ports, project_id, now))
        return await keys.find(project_id)
