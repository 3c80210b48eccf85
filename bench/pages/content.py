"""The content of generated requests, sealed as gateways and executors seal it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg

from bench.pages.fill import KEY, Sql
from deploy.local.stack import Stack
from libs.common.content import DataKey, new_body_key
from libs.common.contracts.accounts import data_key_context
from libs.common.crypto import SealingKey, SealingKeyring

_CHUNK: Final = 5_000
_SEALED_KEY: Final = "SELECT sealed_key FROM data_keys WHERE project_id = $1"
_REQUESTS: Final = """
SELECT id, body_expires_on AS day FROM requests WHERE project_id = $1 AND key_id = $2
"""

_PROMPT: Final = (
    b'{"model":"model-1","messages":[{"role":"user","content":"'
    + b"Summarise this. " * 40
    + b'"}]}'
)
_RESULT: Final = (
    b'{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"' + b"It says little. " * 40 + b'"}}]}'
)


async def data_key(stack: Stack, project_id: str) -> DataKey:
    """A project's, opened with the gateway's keys."""
    texts = stack.process("gateway").program.environment["REQRUN_DATA_PLANE_KEYS"].split(",")
    keyring = SealingKeyring(SealingKey.from_text(text) for text in texts)
    accounts = await asyncpg.connect(stack.postgresql.database_url("accounts"))
    try:
        sealed: bytes = await accounts.fetchval(_SEALED_KEY, project_id)
    finally:
        await accounts.close()
    return DataKey(keyring.open(sealed, data_key_context(project_id)))


async def fill_content(sql: Sql, key: DataKey, project_id: str) -> None:
    """A prompt and a result, 0.7 kB each, for every generated request of a project."""
    rows = await sql.fetch(_REQUESTS, project_id, KEY)
    for first in range(0, len(rows), _CHUNK):
        some = rows[first : first + _CHUNK]
        keys = [new_body_key() for _ in some]
        await sql.copy_records_to_table(
            "body_keys",
            records=[(row["id"], row["day"], k) for row, k in zip(some, keys, strict=True)],
            columns=["request_id", "expires_on", "secret"],
        )
        await sql.copy_records_to_table(
            "bodies",
            records=list(_sealed(some, keys, key)),
            columns=["request_id", "kind", "number", "expires_on", "content"],
        )


def _sealed(
    rows: Sequence[asyncpg.Record], keys: Sequence[bytes], key: DataKey
) -> Iterator[tuple[Any, ...]]:
    for row, body_key in zip(rows, keys, strict=True):
        seal = key.of(row["id"], body_key)
        yield row["id"], "request", 0, row["day"], seal.seal(_PROMPT, "request")
        yield row["id"], "result", 0, row["day"], seal.seal(_RESULT, "result")
