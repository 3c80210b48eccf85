"""What was erased does not open again, whoever has the private keys and all lasting backups.

The backups are from before the erasure. The keys of the time, which are dumped apart and kept for a
week, would open all of it: so the test can tell the difference.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, get_args

import httpx2
import msgspec
import pytest

from libs.common.content import BODY_KEY_BYTES, BodyKind, DataKey
from libs.common.contracts.accounts import data_key_context
from libs.common.crypto import SealBroken, SealingKey, SealingKeyring
from tests.support import dumps
from tests.support.checker_sources import ask, drained
from tests.support.dumps import Dump
from tests.support.stack import System

CHAT: Final = "/v1/chat/completions"
PROMPT: Final = "a prompt to be forgotten"
DATABASES: Final = ("requests", "accounts")


class Story(msgspec.Struct, frozen=True):
    """Requests of two projects, and dumps from before and after what was erased of them.

    `erased`: a request of a project that lives on; `kept`: another one of it; `gone`: of a project
    that was erased as a whole. Each had a result or a provider's error.
    """

    kept: str
    erased: tuple[str, ...]
    gone: tuple[str, ...]
    before: Mapping[str, Dump]
    after: Mapping[str, Dump]


class Restored(msgspec.Struct, frozen=True):
    """Two databases that were restored side by side, and the data plane's private keys."""

    urls: Mapping[str, str]
    keyring: SealingKeyring

    async def opened(self, *request_ids: str) -> set[str]:
        """Of these requests those with a body that opens, whatever the keys that are found.

        Any value of the length of a body key, wherever it stands, is tried with any data key.
        """
        data_keys = await self._data_keys()
        body_keys = await self._values(self.urls["requests"], BODY_KEY_BYTES)
        query = "SELECT * FROM bodies WHERE request_id = ANY($1)"
        bodies = await ask(self.urls["requests"], query, list(request_ids))
        assert {body["request_id"] for body in bodies} == set(request_ids)
        return {
            body["request_id"]
            for body in bodies
            for data_key in data_keys
            for body_key in body_keys
            if _opens(dict(body), data_key, body_key)
        }

    async def _data_keys(self) -> list[DataKey]:
        """Of whatever project, where there still are any."""
        rows = await ask(self.urls["accounts"], "SELECT project_id, sealed_key FROM data_keys")
        return [
            DataKey(self.keyring.open(row["sealed_key"], data_key_context(row["project_id"])))
            for row in rows
        ]

    async def _values(self, url: str, length: int) -> set[bytes]:
        """Every binary value of that length in the whole database."""
        columns = await ask(
            url,
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'bytea'",
        )
        found: set[bytes] = set()
        for table, column in columns:
            query = f"SELECT {column} FROM {table} WHERE octet_length({column}) = $1"  # noqa: S608  names of the catalogue
            found |= {row[0] for row in await ask(url, query, length)}
        return found


def _opens(body: Mapping[str, Any], data_key: DataKey, body_key: bytes) -> bool:
    assert body["kind"] in get_args(BodyKind)
    seal = data_key.of(body["request_id"], body_key)
    try:
        seal.open(body["content"], body["kind"], body["number"])
    except SealBroken:
        return False
    return True


class Owner:
    """A project of this test's own, with a live key that leads to the simulator."""

    def __init__(self, system: System, name: str) -> None:
        account = system.operate("accounts", "create", "--plan", "operator", name)["id"]
        made = system.operate("projects", "create", "--account", account, name)
        self.project_id = str(made["id"])
        system.operate(
            "connections", "set", "--project", self.project_id,
            "--base-url", f"{system.simulator_url}/v1",
            settings={"REQRUN_PROVIDER_KEY": "sk-simulated"},
        )  # fmt: skip
        issued = system.operate(
            "keys", "issue", "--project", self.project_id, "--mode", "live", "--name", name
        )
        self.key = str(issued["key"])
        self.url = system.gateways[0]

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            answer = await client.request(method, path, headers=headers, **options)
        assert answer.status_code == 200, answer.text
        return answer

    async def run(self, model: str) -> str:
        """The id of a request that was run to its end."""
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "wait": True}
        answer = await self.call("POST", CHAT, json=body)
        return answer.headers["x-reqrun-request-id"]


def _dump(system: System, folder: Path) -> dict[str, Dump]:
    folder.mkdir()
    server = system.stack.postgresql
    return {name: dumps.dump(server, name, folder) for name in DATABASES}


@pytest.fixture(scope="module")
async def story(system: System, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("dumps")
    living, ending = Owner(system, "living"), Owner(system, "ending")
    kept = await living.run("sim-ok")
    erased = [await living.run(model) for model in ("sim-ok", "sim-400")]
    gone = [await ending.run(model) for model in ("sim-ok", "sim-400")]
    await drained(system, 60)
    before = _dump(system, folder / "before")
    for request_id in erased:
        await living.call("DELETE", f"/v1/requests/{request_id}")
    system.operate("projects", "erase", ending.project_id, "--yes")
    after = _dump(system, folder / "after")
    return Story(kept, tuple(erased), tuple(gone), before, after)


@contextmanager
def restored(system: System, files: Mapping[str, tuple[Path, ...]]) -> Iterator[Restored]:
    """Fresh databases with these dumps in them."""
    server = system.stack.postgresql
    keys = [SealingKey.from_text(key.private) for key in system.stack.site.keys.material.data_plane]
    with ExitStack() as stack:
        urls = {}
        for name in DATABASES:
            urls[name] = server.create_database(f"restored_{name}")
            stack.callback(server.drop_database, f"restored_{name}")
            dumps.restore(server, f"restored_{name}", *files[name])
        yield Restored(urls, SealingKeyring(keys))


async def test_lasting_dumps_from_before_open_nothing_at_all(system: System, story: Story) -> None:
    files = {name: (story.before[name].lasting,) for name in DATABASES}
    with restored(system, files) as found:
        assert await found.opened(story.kept, *story.erased, *story.gone) == set()


async def test_with_the_keys_of_today_they_open_what_was_not_erased_and_nothing_else(
    system: System, story: Story
) -> None:
    files = {name: (story.before[name].lasting, story.after[name].keys) for name in DATABASES}
    with restored(system, files) as found:
        assert await found.opened(story.kept, *story.erased, *story.gone) == {story.kept}


async def test_half_of_the_keys_from_before_open_nothing_of_the_other_half(
    system: System, story: Story
) -> None:
    """The old body keys with today's data keys open no erased project, and the other way round."""
    body_keys = {
        "requests": (story.before["requests"].lasting, story.before["requests"].keys),
        "accounts": (story.before["accounts"].lasting, story.after["accounts"].keys),
    }
    with restored(system, body_keys) as found:
        assert await found.opened(*story.gone) == set()
    data_keys = {
        "requests": (story.before["requests"].lasting, story.after["requests"].keys),
        "accounts": (story.before["accounts"].lasting, story.before["accounts"].keys),
    }
    with restored(system, data_keys) as found:
        assert await found.opened(*story.erased) == set()


async def test_with_both_short_lived_dumps_from_before_everything_opens(
    system: System, story: Story
) -> None:
    """The control: it is these, gone after a week, that the promise stands on."""
    every = {story.kept, *story.erased, *story.gone}
    files = {name: (story.before[name].lasting, story.before[name].keys) for name in DATABASES}
    with restored(system, files) as found:
        assert await found.opened(*every) == every
