"""What a database holds, by its own catalogue: no list of ours can forget a table."""

import asyncpg

_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY 1
"""


async def tables(url: str) -> set[str]:
    """Names of its tables; of one that is partitioned, the whole."""
    sql = await asyncpg.connect(url)
    try:
        return {row["relname"] for row in await sql.fetch(_TABLES)}
    finally:
        await sql.close()


async def text_of(url: str) -> str:
    """Everything in it, every row of every table as text; bytes in hex."""
    sql = await asyncpg.connect(url)
    try:
        found = []
        for row in await sql.fetch(_TABLES):
            table = row["relname"]
            rows = await sql.fetch(f"SELECT t::text FROM {table} t")  # noqa: S608  # the catalogue's
            found += [f"{table}: {one[0]}" for one in rows]
        return "\n".join(found)
    finally:
        await sql.close()


async def execute(url: str, statement: str, *values: object) -> None:
    """What no service may do."""
    sql = await asyncpg.connect(url)
    try:
        await sql.execute(statement, *values)
    finally:
        await sql.close()
