"""What would break the version before, or lock a large table, is found in every form of it."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from deploy.checks.migrations import __main__ as linter
from deploy.checks.migrations import rules
from deploy.checks.migrations.__main__ import BASELINE, PLANTED, newer, offences, squawk, verdict
from deploy.checks.migrations.rendering import CannotRender, Revision, render

OLD: Final = """
CREATE TABLE t (id bigint PRIMARY KEY, a text, b integer);
CREATE FUNCTION look_v1(p integer) RETURNS integer LANGUAGE sql AS $$ SELECT p $$;
"""
OTHER_BODY: Final = " RETURNS integer LANGUAGE sql AS $$ SELECT 2 $$;"
NEW_FUNCTION: Final = """
CREATE FUNCTION look_v2(p integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET a = 'x';
    RETURN p;
END
$$;
REVOKE EXECUTE ON FUNCTION look_v2(integer) FROM PUBLIC;
"""
NEW_INDEX: Final = """
COMMIT;
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY i ON t (a);
SET lock_timeout = '5s';
BEGIN;
"""
# Each with the rule that finds it; "" is allowed.
SAMPLES: Final = [
    ("DROP TABLE t;", "ban-drop-table"),
    ("DROP FUNCTION look_v1(integer);", "ban-drop-function"),
    ("ALTER TABLE t DROP COLUMN a;", "ban-drop-column"),
    ("ALTER TABLE t DROP CONSTRAINT c;", "ban-drop-constraint"),
    ("ALTER TABLE t ALTER COLUMN a DROP DEFAULT;", "ban-drop-default"),
    ("ALTER TABLE t ALTER COLUMN a DROP NOT NULL;", "ban-drop-not-null"),
    ("DROP VIEW v;", "ban-drop-view"),
    ("ALTER TABLE t RENAME COLUMN a TO c;", "renaming-column"),
    ("ALTER TABLE t RENAME TO u;", "renaming-table"),
    ("ALTER FUNCTION look_v1(integer) RENAME TO look_v3;", "renaming-object"),
    ("ALTER TABLE t SET SCHEMA elsewhere;", "ban-set-schema"),
    ("ALTER TABLE t ALTER COLUMN b TYPE bigint;", "changing-column-type"),
    ("ALTER TABLE t ALTER COLUMN a SET NOT NULL;", "adding-not-nullable-field"),
    ("ALTER TABLE t ADD COLUMN c text NOT NULL;", "adding-required-field"),
    ("ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid();", "adding-field-with-default"),
    ("CREATE INDEX i ON t (a);", "require-concurrent-index-creation"),
    ("CREATE INDEX CONCURRENTLY i ON t (a);", "ban-concurrent-index-creation-in-transaction"),
    ("DROP INDEX i;", "require-concurrent-index-deletion"),
    ("REINDEX TABLE t;", "require-concurrent-reindex"),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0);", "constraint-missing-not-valid"),
    ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a);", "disallowed-unique-constraint"),
    ("ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES u (id);", "adding-foreign-key-constraint"),
    ("ALTER TABLE t ADD PRIMARY KEY (b);", "adding-serial-primary-key-field"),
    ("TRUNCATE t CASCADE;", "ban-truncate-cascade"),
    (f"CREATE OR REPLACE FUNCTION look_v1(p integer) {OTHER_BODY}", "replaces-a-function"),
    (f"CREATE FUNCTION look_v1(p integer, q integer) {OTHER_BODY}", "replaces-a-function"),
    (f"CREATE FUNCTION look() {OTHER_BODY}", "replaces-a-function"),
    ("UPDATE t SET a = 'x';", "touches-rows"),
    ("DELETE FROM t;", "touches-rows"),
    ("LOCK TABLE t;", "touches-rows"),
    ("REVOKE SELECT ON t FROM reqrun_gateway;", "takes-a-right"),
    ("DO $$ BEGIN REVOKE SELECT ON t FROM reqrun_gateway; END $$;", "takes-a-right"),
    ("SET LOCAL lock_timeout = 0; ALTER TABLE t ADD COLUMN c text;", "lifts-the-lock-timeout"),
    ("DROP FUNCTION accept_v1(text);", "is-still-used"),
    ("ALTER TABLE t ADD COLUMN c text;", ""),
    ("ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT '';", ""),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0) NOT VALID;", ""),
    ("CREATE TABLE u (id bigint PRIMARY KEY, a text); CREATE INDEX i ON u (a);", ""),
    (NEW_FUNCTION, ""),
    ("CREATE TABLE u (id bigint PRIMARY KEY); UPDATE u SET id = 1;", ""),
    (NEW_INDEX, ""),
]


def revision(number: str, sql: str, contract: str | None = None) -> Revision:
    text = f"SET lock_timeout = '5s';\n{sql}\n"
    return Revision(database="requests", id=number, sql=text, contract=contract)


def found(*revisions: Revision, baseline: str = "0001") -> set[str]:
    """Which rules the newer ones offend, the planted one's left out."""
    news = offences(revisions, {"requests": baseline})
    return {one.rule for one in news if one.revision != PLANTED.name}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_code", lambda: {"libs/ledger/accept.py": "SELECT accept_v1($1)"})


@pytest.mark.usefixtures("used")
def test_each_offence_is_found_and_nothing_that_is_allowed() -> None:
    old = revision("0001", OLD)
    samples = {f"{n:04}": sample for n, sample in enumerate(SAMPLES, 2)}
    # All at once: squawk starts once. None knows another but through `older`.
    news = squawk([revision(n, sql) for n, (sql, _) in samples.items()])
    for number, (sql, _) in samples.items():
        news += rules.own_offences(revision(number, sql), [old])

    for number, (sql, rule) in samples.items():
        mine = {one.rule for one in news if one.revision == f"requests-{number}"}
        assert (rule in mine) if rule else mine == set(), (sql, mine)


def test_every_rule_that_holds_has_its_sample() -> None:
    shown = {rule for _, rule in SAMPLES}

    assert rules.SQUAWK | set(rules.OWN) == (shown - {""}) | {
        "require-lock-timeout",
        "has-no-such-contract",
    }


def test_without_a_lock_timeout_nothing_may_wait_for_a_lock() -> None:
    bare = Revision(database="requests", id="0002", sql="ALTER TABLE t ADD COLUMN c text;")

    assert "require-lock-timeout" in {one.rule for one in squawk([bare])}


def test_a_contract_lets_go_what_an_older_migration_stopped_using() -> None:
    drop = "ALTER TABLE t DROP COLUMN a; DROP FUNCTION look_v1(integer);"
    first, second = revision("0001", OLD), revision("0002", "")

    assert found(first, second, revision("0003", drop)) == {"ban-drop-column", "ban-drop-function"}
    assert found(first, second, revision("0003", drop, contract="0002")) == set()
    for unknown in ("0003", "0004", "1.2"):
        broken = revision("0003", drop, contract=unknown)
        assert found(first, second, broken) == {"has-no-such-contract"}


@pytest.mark.usefixtures("used")
def test_a_contract_excuses_no_lock_no_rename_and_nothing_that_is_still_named() -> None:
    sql = "ALTER TABLE t RENAME TO u; CREATE INDEX i ON t (a); DROP FUNCTION accept_v1(text);"

    assert found(revision("0001", OLD), revision("0002", sql, contract="0001")) == {
        "renaming-table",
        "require-concurrent-index-creation",
        "is-still-used",
    }


def test_this_trees_migrations_are_rendered_and_checked() -> None:
    revisions = render()
    checked = newer(revisions, BASELINE)

    assert {one.database for one in revisions} == set(BASELINE)
    assert {one.name for one in checked} >= {"requests-0010", "billing-0005"}
    assert "look_v2" in next(one.sql for one in revisions if one.name == "requests-0010")


def versions(folder: Path, body: str) -> dict[str, Path]:
    """A database with one migration."""
    head = 'from alembic import op\nrevision = "0001"\ndown_revision = None\ndef upgrade():\n'
    (folder / "0001_first.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))
    return {"requests": folder}


def test_what_alembic_does_is_seen_as_well_as_sql(tmp_path: Path) -> None:
    [made] = render(versions(tmp_path, 'op.drop_column("t", "a")'))

    assert found(made, baseline="0000") == {"ban-drop-column"}


def test_an_index_that_is_made_concurrently_is_allowed(tmp_path: Path) -> None:
    body = """
        with op.get_context().autocommit_block():
            op.create_index("i", "t", ["a"], postgresql_concurrently=True)
    """

    assert found(*render(versions(tmp_path, body)), baseline="0000") == set()


def test_what_needs_a_server_cannot_be_checked_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotRender, match="requests-0001"):
        render(versions(tmp_path, 'op.get_bind().execute("SELECT 1").all()'))


@pytest.mark.parametrize("blind", [[], [PLANTED]], ids=["squawk sees nothing", "nothing is newer"])
def test_a_check_of_nothing_fails(blind: Sequence[Revision]) -> None:
    found_in_it = squawk(blind) if blind else []
    checked = [] if blind else [revision("0002", "")]

    assert verdict(checked, found_in_it)[0] is False


def test_without_squawk_the_check_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert linter.main() == 1
    assert "NOTHING WAS CHECKED" in capsys.readouterr().out
