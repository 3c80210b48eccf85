"""The outbox table's definition, which two migrations and the ledger's own SQL rely on."""

import re

from libs.common import outbox


def test_the_table_is_what_the_other_databases_make() -> None:
    statements = [re.sub(r"\s+", " ", sql).strip() for sql in outbox.create_sql()]

    table, *indexes = statements
    assert table == (
        "CREATE TABLE outbox ( "
        "id BIGINT GENERATED ALWAYS AS IDENTITY, "
        "routing_key TEXT NOT NULL, "
        "body BYTEA NOT NULL, "
        "created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, "
        "sent_at TIMESTAMP WITH TIME ZONE, "
        "CONSTRAINT pk_outbox PRIMARY KEY (id) )"
    )
    assert indexes == [
        "CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL",
        "CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL",
    ]
