"""Which keys a database still needs, and whether they are here and open what is there."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from deploy.keys.findings import Finding
from deploy.keys.folder import KeysRefused
from deploy.keys.material import Material, SealingPair
from libs.common.contracts.accounts import (
    data_key_context,
    provider_key_context,
    signing_secret_context,
)
from libs.common.crypto import KEY_ID_BYTES, SealBroken, SealingKey, SealingKeyring

_SECONDS: Final = 30.0

_PEPPERS: Final = """
SELECT pepper_id, count(*) AS n FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
GROUP BY 1 ORDER BY 1
"""

# Of each key that seals something, how much, and one row to try it on.
_SEALS: Final = """
SELECT DISTINCT ON (key_id) key_id, id, project_id, sealed, count(*) OVER (PARTITION BY key_id) AS n
FROM (
    SELECT substr({sealed}, 1, {length}) AS key_id, {id} AS id, project_id, {sealed} AS sealed
    FROM {table} WHERE {sealed} IS NOT NULL
) AS s
ORDER BY key_id, id
"""


class _Place(msgspec.Struct, frozen=True):
    """A column of sealed values. `id`: the row's; `keys`: which of the material opens it."""

    table: str
    id: str
    sealed: str
    keys: Callable[[Material], tuple[SealingPair, ...]]
    context: Callable[[str, str], str]


_PLACES: Final = (
    _Place(
        "api_keys",
        "id",
        "sealed_signing_secret",
        lambda made: made.data_plane,
        signing_secret_context,
    ),
    _Place(
        "data_keys",
        "project_id",
        "sealed_key",
        lambda made: made.data_plane,
        lambda _, project_id: data_key_context(project_id),
    ),
    _Place(
        "provider_connections",
        "id",
        "sealed_key",
        lambda made: made.executor,
        provider_key_context,
    ),
)


async def inspect(url: str, made: Material) -> list[Finding]:
    """Findings about every pepper and sealing key in use. Raises KeysRefused when it is away."""
    try:
        connection = await asyncpg.connect(url, timeout=_SECONDS, command_timeout=_SECONDS)
        try:
            findings = [_of_pepper(made, row) for row in await connection.fetch(_PEPPERS)]
            for place in _PLACES:
                rows = await connection.fetch(_statement(place))
                findings += [_of_seal(made, place, row) for row in rows]
        finally:
            await connection.close()
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        # Only the kind: a text may quote the address, and with it a password.
        kind = type(error).__name__
        raise KeysRefused(f"The database cannot be asked ({kind}).") from None
    return findings


def _statement(place: _Place) -> str:
    return _SEALS.format(table=place.table, id=place.id, sealed=place.sealed, length=KEY_ID_BYTES)


def _of_pepper(made: Material, row: Any) -> Finding:
    number, count = row["pepper_id"], row["n"]
    is_here = number in [pepper.id for pepper in made.peppers]
    says = f"{count} API keys are under it"
    return Finding(f"pepper {number}", is_here, says if is_here else f"is missing: {says}")


def _of_seal(made: Material, place: _Place, row: Any) -> Finding:
    key_id, count = row["key_id"].hex(), row["n"]
    item, says = f"key {key_id}", f"{count} values of {place.table} are under it"
    if not _opens(place.keys(made), row["sealed"], place.context(row["id"], row["project_id"])):
        return Finding(item, is_good=False, says=f"is missing or does not open: {says}")
    return Finding(item, is_good=True, says=says)


def _opens(pairs: Sequence[SealingPair], sealed: bytes, context: str) -> bool:
    try:
        keys = [SealingKey.from_text(pair.private) for pair in pairs]
        SealingKeyring(keys).open(sealed, context)
    except (SealBroken, ValueError):
        return False
    return True
