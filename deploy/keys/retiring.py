"""Take an old key out of the file, once nothing is under it any more.

A backup with it is written first: dumps of `data_keys` that were made while it was in use open with
nothing else (docs/operations.md, Keys).
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from deploy.keys import archive, folder, use
from deploy.keys.folder import DATA_PLANE, EXECUTOR, PEPPERS, KeysRefused
from deploy.keys.material import Material


class Kind(msgspec.Struct, frozen=True):
    """What there are several of. `item`: as `use.inspect` calls one; `how`: to get rid of it."""

    file: str
    item: str
    how: str
    all_of: Callable[[Material], Sequence[Any]]
    id_of: Callable[[Any], str]


KINDS: Final = {
    "pepper": Kind(
        PEPPERS,
        "pepper",
        "they move as they are used; issue again what is left",
        lambda made: made.peppers,
        lambda pepper: str(pepper.id),
    ),
    "data-plane": Kind(
        DATA_PLANE,
        "key",
        "`reqrun keys reseal` moves them",
        lambda made: made.data_plane,
        lambda pair: str(pair.key_id),
    ),
    "executor": Kind(
        EXECUTOR,
        "key",
        "`reqrun keys reseal` moves them",
        lambda made: made.executor,
        lambda pair: str(pair.key_id),
    ),
}


class Old(msgspec.Struct, frozen=True):
    """Which one is to go. `database_url`: of accounts, which says what is in use."""

    kind: str
    key_id: str
    database_url: str
    backup: Path


def retire(place: Path, old: Old) -> Material:
    """Raises KeysRefused where it is not there, the newest, or in use; then nothing was changed."""
    kind, made = KINDS[old.kind], folder.load(place)
    ids = [kind.id_of(key) for key in kind.all_of(made)]
    if old.key_id not in ids:
        raise KeysRefused(f"There is no {kind.item} {old.key_id} in {kind.file}.")
    if old.key_id == ids[0]:
        raise KeysRefused(f"{old.key_id} is the newest: rotate first, then move what is under it.")
    _check_use(made, kind, old)
    archive.backup(place, old.backup)
    left = tuple(key for key in kind.all_of(made) if kind.id_of(key) != old.key_id)
    return folder.replace(place, made, kind.file, left)


def _check_use(made: Material, kind: Kind, old: Old) -> None:
    if not old.database_url:
        raise KeysRefused("Say --database-url: only accounts' database knows what is in use.")
    found = asyncio.run(use.inspect(old.database_url, made))
    still = [one.says for one in found if one.item == f"{kind.item} {old.key_id}"]
    if still:
        raise KeysRefused(f"{old.key_id} is in use: {'; '.join(still)}; {kind.how}.")
