"""Mutants of what people were promised: deletion, retention, what stays and what goes."""

from typing import Final

from tests.mutants.mutant import Mutant

_DELETION: Final = "tests/integration/accounts/test_deletion.py"
_FORGETTING: Final = "tests/integration/ledger/test_forgetting.py"
_RETIRING: Final = "tests/integration/ledger/test_retiring.py"
_EVENTS: Final = "tests/integration/executor/test_project_events.py"
_CLOSING: Final = "tests/integration/billing/test_closing.py"

MUTANTS: Final = (
    Mutant(
        "mails of a deleted account stay",
        "services/accounts/repositories/deletion.py",
        "        await self._delete(Mail, Mail.account_id == account_id)\n",
        "",
        (f"{_DELETION}::test_nothing_of_the_person_is_left_but_the_receipt",),
    ),
    Mutant(
        "nobody notes that a deletion has begun",
        "services/accounts/use_cases/deletion.py",
        "        account.erasing_at = account.erasing_at or now\n",
        "",
        (f"{_DELETION}::test_once_begun_it_cannot_be_undone",),
    ),
    Mutant(
        "the receipt is queued apart from the deletion",
        "services/accounts/use_cases/deletion.py",
        "            _queue_receipt(ports, tx, person, now)\n",
        "            async with ports.db.transaction() as other:\n"
        "                _queue_receipt(ports, other, person, now)\n",
        (f"{_DELETION}::test_a_crash_between_any_two_steps_loses_nothing_and_leaves_nothing",),
    ),
    Mutant(
        "keys of an account that is being deleted are good",
        "services/accounts/use_cases/key_contexts.py",
        " or account.leaves_at is not None",
        "",
        (f"{_DELETION}::test_from_the_start_nothing_runs_and_no_key_is_taken",),
    ),
    Mutant(
        "a record goes before the key that leads to it",
        "libs/ledger/migrations/sql/0006_retire.sql",
        " AND f.body_expires_on < today",
        "",
        (f"{_RETIRING}::test_bodies_and_the_idempotency_key_go_first",),
    ),
    Mutant(
        "anybody's project can be forgotten",
        "libs/ledger/migrations/sql/0006_forget.sql",
        "    IF NOT EXISTS (SELECT FROM erasures e WHERE e.project_id = p_project) THEN\n"
        "        RETURN 0;\n    END IF;\n",
        "",
        (f"{_FORGETTING}::test_nothing_is_forgotten_that_nobody_asked_for",),
    ),
    Mutant(
        "what ended last comes back as a roll-up",
        "libs/ledger/migrations/sql/0006_forget.sql",
        "        OR EXISTS (SELECT FROM uncounted_v1(1) u WHERE u.created_at < until)\n",
        "",
        (f"{_FORGETTING}::test_it_is_not_over_while_an_end_of_that_hour_is_not_counted",),
    ),
    Mutant(
        "an old event is taken for how things stand",
        "services/executor/use_cases/projects.py",
        "        if await ports.standings.find(project_id) is Standing.FORGOTTEN\n",
        "",
        (f"{_EVENTS}::test_of_a_deleted_account_every_record_goes_and_of_nobody_else",),
    ),
    Mutant(
        "usage is summed up while it may be told again",
        "services/billing/use_cases/closing.py",
        "SETTLED: Final = timedelta(days=1)",
        "SETTLED: Final = timedelta()",
        (f"{_CLOSING}::test_a_day_after_the_deletion_records_are_sums_and_say_the_same",),
    ),
)
