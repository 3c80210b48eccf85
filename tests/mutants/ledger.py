"""One attempt at a time, one end, one result; counters that count what is there."""

from typing import Final

from tests.mutants.mutant import Mutant

_MOVES: Final = "tests/integration/ledger/test_transitions.py"
_ORDERS: Final = "tests/integration/ledger/test_interleavings.py"
_LIMITS: Final = "tests/integration/ledger/test_interleaved_limits.py"
_ERASING: Final = "tests/integration/ledger/test_erasing.py"
_COMPANY: Final = "tests/integration/ledger/test_company.py"
_SESSIONS: Final = "tests/integration/ledger/test_sessions.py"

_ALONE: Final = "libs/ledger/migrations/sql/0013_alone.sql"
_CLAIM: Final = "libs/ledger/migrations/sql/0004_claim.sql"
_FINISH: Final = "libs/ledger/finish.py"
_ORPHANS: Final = "libs/ledger/orphans.py"
_SETTLE: Final = "libs/ledger/settle.py"

MUTANTS: Final = (
    Mutant(
        "a claim takes what another runs",
        _CLAIM,
        "l.state IN ('queued', 'retrying')\n",
        "l.state IN ('queued', 'retrying', 'processing')\n",
        (f"{_COMPANY}::test_what_runs_is_not_claimed",),
    ),
    Mutant(
        "a claim of one takes what another runs",
        _ALONE,
        "l.state IN ('queued', 'retrying')\n        AND l.not_before <= t AND l.deadline",
        "true\n        AND l.not_before <= t AND l.deadline",
        (f"{_MOVES}::test_two_hints_make_one_attempt",),
    ),
    Mutant(
        "a claim needs no slot",
        _CLAIM,
        "l.id = ANY(p_ids) AND l.slot_at IS NOT NULL AND",
        "l.id = ANY(p_ids) AND",
        (f"{_COMPANY}::test_what_has_no_slot_is_not_claimed",),
    ),
    Mutant(
        "a claim of one needs no slot",
        _ALONE,
        "l.id = p_id AND l.slot_at IS NOT NULL AND",
        "l.id = p_id AND",
        (f"{_MOVES}::test_what_is_early_late_or_without_a_slot_is_not_claimed",),
    ),
    Mutant(
        "a claim does not raise the fence",
        _CLAIM,
        "fence = l.fence + 1",
        "fence = greatest(l.fence, 1)",
        (f"{_COMPANY}::test_each_claim_raises_the_fence",),
    ),
    Mutant(
        "a claim of one does not raise the fence",
        _ALONE,
        "fence = l.fence + 1",
        "fence = greatest(l.fence, 1)",
        (f"{_ORDERS}::test_a_zombies_answer_meets_its_successors_claim",),
    ),
    Mutant(
        "an answer with an old fence is written",
        _FINISH,
        "ON i.id = l.id AND i.fence = l.fence\n",
        "ON i.id = l.id\n",
        (f"{_COMPANY}::test_an_answer_with_an_old_fence_changes_nothing",),
    ),
    Mutant(
        "an answer alone with an old fence is written",
        _ALONE,
        "WHERE live.id = p_id AND live.fence = p_fence",
        "WHERE live.id = p_id",
        (f"{_MOVES}::test_a_late_answer_under_a_higher_fence_changes_nothing",),
    ),
    Mutant(
        "a renewal with an old fence keeps another's lease",
        "libs/ledger/renew.py",
        "AND l.fence = u.fence AND",
        "AND",
        (f"{_MOVES}::test_a_renewal_with_an_old_fence_or_of_a_request_not_running_is_lost",),
    ),
    Mutant(
        "a claim is given back by who lost it",
        "libs/ledger/give_back.py",
        "AND l.fence = u.fence AND l.state = 'processing'",
        "AND l.fence = u.fence",
        (f"{_ORDERS}::test_a_return_meets_the_end_of_its_lease",),
    ),
    Mutant(
        "the end of a lease raises the fence, and a paid answer is dropped",
        _ORPHANS,
        "SET state = 'retrying', not_before = d.retry_at,",
        "SET state = 'retrying', fence = l.fence + 1, not_before = d.retry_at,",
        (f"{_MOVES}::test_a_late_answer_with_its_fence_completes_the_retrying_request",),
    ),
    Mutant(
        "a request may crash executors for ever",
        _ORPHANS,
        "WHEN o.crash_count + 1 >= $4 THEN 'executor_crashed'",
        "WHEN $4 < 0 THEN 'executor_crashed'",
        (f"{_MOVES}::test_an_ended_lease_is_the_end_when_nothing_may_follow",),
    ),
    Mutant(
        "what was sent and lost is repeated against the customer's will",
        _ORPHANS,
        "WHEN o.was_sent AND o.fails_on_unknown THEN",
        "WHEN false THEN",
        (f"{_ORDERS}::test_a_finish_meets_the_end_of_a_lease_that_is_fatal",),
    ),
    Mutant(
        "a retry may come after the deadline",
        _FINISH,
        "i.state <> 'retrying' OR m.retry_at >= m.deadline AS is_final",
        "i.state <> 'retrying' AS is_final",
        (f"{_MOVES}::test_a_retry_after_the_deadline_fails_at_once",),
    ),
    Mutant(
        "an attempt that ended keeps its slot",
        _FINISH,
        "UNION ALL\n    SELECT a.project_id, a.mode FROM again a JOIN decided d USING (id)"
        " WHERE d.slot_at IS NOT NULL\n",
        "",
        (f"{_MOVES}::test_a_retry_before_the_deadline_frees_the_slot_and_waits",),
    ),
    Mutant(
        "an end leaves the slot counted",
        _SETTLE,
        "SET slots = c.slots - p.n",
        "SET slots = c.slots",
        (f"{_COMPANY}::test_an_end_gives_back_slot_and_place_and_is_told",),
    ),
    Mutant(
        "an end alone leaves the slot counted",
        _ALONE,
        "SET slots = c.slots - 1",
        "SET slots = c.slots",
        (f"{_MOVES}::test_a_completed_finish_moves_everything_together",),
    ),
    Mutant(
        "an end leaves the request pending",
        _SETTLE,
        "SET pending = c.pending - a.n",
        "SET pending = c.pending",
        (f"{_COMPANY}::test_an_end_gives_back_slot_and_place_and_is_told",),
    ),
    Mutant(
        "an end alone leaves the request pending",
        _ALONE,
        "SET pending = c.pending - 1",
        "SET pending = c.pending",
        (f"{_COMPANY}::test_an_end_gives_back_slot_and_place_and_is_told",),
    ),
    Mutant(
        "an end is told to nobody",
        _SETTLE,
        "FROM gone g HAVING count(*) > 0",
        "FROM gone g HAVING count(*) > 2",
        (f"{_COMPANY}::test_an_end_gives_back_slot_and_place_and_is_told",),
    ),
    Mutant(
        "a slot is given to two",
        "libs/ledger/release.py",
        "ELSE greatest(least(r.n, c.running_limit - c.slots), 0) END AS granted",
        "ELSE r.n END AS granted",
        (f"{_LIMITS}::test_a_slot_that_becomes_free_is_given_once",),
    ),
    Mutant(
        "a release does not see the pause that came meanwhile",
        "libs/ledger/release.py",
        "CASE WHEN c.is_paused THEN 0",
        "CASE WHEN false THEN 0",
        (
            "tests/integration/ledger/test_pausing.py::test_a_release_that_meets_the_flag_gives_nothing",
        ),
    ),
    Mutant(
        "a paused project's requests expire",
        "libs/ledger/expire.py",
        "AND NOT d.is_paused\n    RETURNING",
        "\n    RETURNING",
        (f"{_MOVES}::test_in_a_paused_project_nothing_expires",),
    ),
    Mutant(
        "a deadline cuts a running call",
        "libs/ledger/expire.py",
        "AND l.state IN ('queued', 'retrying')",
        "",
        (f"{_MOVES}::test_a_passed_deadline_never_cuts_a_running_call",),
    ),
    Mutant(
        "anybody's request is anybody's to cancel",
        "libs/ledger/cancel.py",
        "AND l.project_id = $2 AND l.mode = $3",
        "AND $2::text <> $3::text",
        (f"{_SESSIONS}::test_who_ends_requests_names_their_project",),
    ),
    Mutant(
        "a cancel begins before it has the row",
        "libs/ledger/cancel.py",
        "ORDER BY l.id FOR UPDATE OF l\n",
        "ORDER BY l.id\n",
        (f"{_ORDERS}::test_a_claim_meets_a_cancel",),
    ),
    Mutant(
        "an erasure keeps the key of the content",
        "libs/ledger/erase.py",
        '    "DELETE FROM body_keys WHERE expires_on = ANY($1) AND request_id = ANY($2)",\n',
        "",
        (f"{_ERASING}::test_the_bodies_and_their_key_go_and_what_happened_stays",),
    ),
    Mutant(
        "a commit is told before it is on the disk",
        "libs/ledger/connection.py",
        '"synchronous_commit": "on",',
        '"synchronous_commit": "off",',
        (f"{_SESSIONS}::test_every_session_waits_for_the_disk",),
    ),
)
