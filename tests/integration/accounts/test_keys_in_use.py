"""`deploy.keys check` against a real accounts database: is everything here that it needs?"""

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from deploy.keys import findings, folder, retiring, use
from deploy.keys.findings import Finding
from deploy.keys.folder import KeysRefused
from deploy.keys.material import Material
from deploy.keys.retiring import Old
from libs.common import crypto
from libs.common.contracts.plans import PlanName
from libs.common.crypto import PublicSealingKey
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, keys, projects
from services.accounts.use_cases.connections import NewConnection


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder.create(tmp_path / "keys")
    return tmp_path / "keys"


def with_newest(ports: Ports, made: Material) -> Ports:
    pepper = made.peppers[0]
    return msgspec.structs.replace(
        ports,
        digest=lambda key: crypto.digest(key, pepper.secret.encode()),
        pepper_id=pepper.id,
        executor_key=PublicSealingKey.from_text(made.executor[0].public),
        data_plane_key=PublicSealingKey.from_text(made.data_plane[0].public),
    )


async def fill(ports: Ports) -> None:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    project = await projects.create(ports, account.id, "Chat", actor=OPERATOR)
    wish = NewKey(project_id=project.id, mode="test", name="k", purpose=Purpose.SIGNED)
    await keys.issue(ports, wish, actor=OPERATOR)
    provider = NewConnection(
        project_id=project.id, base_url="https://example.com", key=Secret("sk-1")
    )
    await connections.put(ports, provider, actor=OPERATOR)


def good(findings: list[Finding]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for one in findings:
        found.setdefault(one.item, []).append(one.is_good)
    return found


async def test_old_and_new_keys_in_use_are_found_and_what_is_missing_is_named(
    ports: Ports, place: Path, accounts_address: str
) -> None:
    first = folder.load(place)
    await fill(with_newest(ports, first))
    for rotate in (folder.rotate_pepper, folder.rotate_executor, folder.rotate_data_plane):
        second = rotate(place)
    await fill(with_newest(ports, second))

    old, new = first.data_plane[0].key_id, second.data_plane[0].key_id
    executors = [pair.key_id for pair in second.executor]
    assert good(await use.inspect(accounts_address, second)) == {
        "pepper 1": [True],
        "pepper 2": [True],
        f"key {old}": [True, True],
        f"key {new}": [True, True],
        **{f"key {key_id}": [True] for key_id in executors},
    }

    without_old = msgspec.structs.replace(
        second, peppers=second.peppers[:1], data_plane=second.data_plane[:1]
    )
    found = good(await use.inspect(accounts_address, without_old))
    assert found["pepper 1"] == [False]
    assert found[f"key {old}"] == [False, False]
    assert found[f"key {new}"] == [True, True]
    assert found["pepper 2"] == [True]


async def test_an_old_key_is_retired_once_nothing_is_under_it(
    ports: Ports, place: Path, accounts_address: str
) -> None:
    first = folder.load(place)
    await fill(with_newest(ports, first))
    for rotate in (folder.rotate_pepper, folder.rotate_data_plane):
        rotate(place)
    old = {"pepper": "1", "data-plane": first.data_plane[0].key_id}

    def retire(kind: str, url: str = accounts_address) -> Material:
        backup = place.with_name(f"{kind}.tar")
        return retiring.retire(place, Old(kind, old[kind], url, backup))

    for kind in old:
        with pytest.raises(KeysRefused, match=r"is in use: 1 (API keys|values)"):
            await asyncio.to_thread(retire, kind)
        with pytest.raises(KeysRefused, match="only accounts' database knows"):
            await asyncio.to_thread(retire, kind, "")
        assert not place.with_name(f"{kind}.tar").exists()
    async with ports.db.transaction() as tx:
        for table in ("api_keys", "data_keys"):
            await tx.execute(text(f"DELETE FROM {table}"))  # noqa: S608  # ours
    for kind in old:
        await asyncio.to_thread(retire, kind)

    left = folder.load(place)
    assert [pepper.id for pepper in left.peppers] == [2]
    assert [pair.key_id for pair in left.data_plane] == [left.data_plane[0].key_id]
    assert old["data-plane"] not in {pair.key_id for pair in left.data_plane}
    assert findings.Report.of(findings.inspect(place)).is_good
    assert place.with_name("pepper.tar").stat().st_mode & 0o777 == 0o600


async def test_the_newest_and_what_is_not_there_are_never_retired(
    place: Path, accounts_address: str
) -> None:
    made = folder.rotate_executor(place)
    for key_id, why in ((made.executor[0].key_id, "is the newest"), ("beef", "There is no key")):
        old = Old("executor", key_id, accounts_address, place.with_name("backup.tar"))
        with pytest.raises(KeysRefused, match=why):
            await asyncio.to_thread(retiring.retire, place, old)

    assert folder.load(place) == made


async def test_a_value_that_was_moved_to_another_row_does_not_pass(
    ports: Ports, place: Path, accounts_address: str
) -> None:
    made = folder.load(place)
    for _ in range(2):
        await fill(with_newest(ports, made))
    async with ports.db.transaction() as tx:
        last = "SELECT sealed_key FROM data_keys ORDER BY project_id DESC LIMIT 1"
        await tx.execute(text(f"UPDATE data_keys SET sealed_key = ({last})"))  # noqa: S608  # ours

    findings = await use.inspect(accounts_address, made)

    assert [one.says for one in findings if not one.is_good] == [
        "is missing or does not open: 2 values of data_keys are under it"
    ]


async def test_a_database_that_is_away_is_said_without_its_address(place: Path) -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/accounts"

    with pytest.raises(KeysRefused, match="cannot be asked") as refused:
        await use.inspect(url, folder.load(place))

    assert "hunter2" not in str(refused.value)
