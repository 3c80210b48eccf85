"""People who log in, their sessions and links, what they may try how often, and mails to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.String(40)
NAME = sa.String(100)
EMAIL = sa.String(254)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and give the service what it uses."""
    for make in (_people, _sessions, _links, _throttles, _mails):
        make()
    op.execute(_GRANTS)


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("email", EMAIL, nullable=False),
        sa.Column("email_key", EMAIL, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("company", NAME),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("terms_version", sa.String(20), nullable=False),
        sa.Column("terms_accepted_at", MOMENT, nullable=False),
        sa.Column("wants_notices", sa.Boolean, nullable=False),
        sa.Column("verified_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email_key", name=op.f("uq_people_email_key")),
        sa.UniqueConstraint("account_id", name=op.f("uq_people_account_id")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_people_account_id_accounts")
        ),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("network", sa.String(50), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_sessions_digest")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_sessions_person_id_people")
        ),
    )
    op.create_index(op.f("ix_sessions_person_id"), "sessions", ["person_id"])


def _links() -> None:
    op.create_table(
        "links",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("email", EMAIL),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_links")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_links_person_id_people")
        ),
        sa.CheckConstraint(
            "purpose IN ('verify', 'reset', 'change_email', 'restore_email')",
            name=op.f("ck_links_purpose"),
        ),
        sa.CheckConstraint(
            "(email IS NOT NULL) = (purpose IN ('change_email', 'restore_email'))",
            name=op.f("ck_links_has_email"),
        ),
    )
    op.create_index(op.f("ix_links_person_id"), "links", ["person_id"])
    op.create_index(op.f("ix_links_expires_at"), "links", ["expires_at"])


def _throttles() -> None:
    op.create_table(
        "throttles",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("full_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_throttles")),
    )
    op.create_index(op.f("ix_throttles_full_at"), "throttles", ["full_at"])


def _mails() -> None:
    op.create_table(
        "mails",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("recipient", EMAIL, nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("failed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.CheckConstraint("sent_at IS NULL OR failed_at IS NULL", name=op.f("ck_mails_one_end")),
    )
    op.create_index(op.f("ix_mails_account_id"), "mails", ["account_id"])
    op.create_index(
        op.f("ix_mails_due_at"),
        "mails",
        ["due_at"],
        postgresql_where=sa.text("sent_at IS NULL AND failed_at IS NULL"),
    )


_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON people, sessions, links, throttles, mails
            TO reqrun_accounts;
    END IF;
END
$$
"""
