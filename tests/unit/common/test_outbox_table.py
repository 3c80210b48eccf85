"""The outbox table's definition, which two migrations and the ledger's own SQL rely on."""

import re

from libs.common import outbox


def test_the_table_is_what_the_other_databases_make() -> None:
    sql = re.sub(r"\s+", " ", outbox.create_table_sql()).strip()

    assert sql == (
        "CREATE TABLE outbox ( "
        "id BIGINT GENERATED ALWAYS AS IDENTITY, "
        "routing_key TEXT NOT NULL, "
        "body BYTEA NOT NULL, "
        "created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, "
        "CONSTRAINT pk_outbox PRIMARY KEY (id) )"
    )
