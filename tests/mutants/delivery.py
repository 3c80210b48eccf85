"""Attempts, hints and facts on their way between processes."""

from typing import Final

from tests.mutants.mutant import Mutant

_WORK: Final = "tests/integration/executor/test_work.py"
_RELAY: Final = "tests/integration/common/test_relay.py"
_STOPPING: Final = "tests/integration/common/test_stopping_servers.py"
_TOLD: Final = "tests/integration/gateway/test_told_results.py"
_USAGE: Final = "tests/integration/billing/test_usage_recording.py"
_CONNECTIONS: Final = "tests/integration/executor/test_provider_connections.py"
_ANSWERS: Final = "tests/unit/executor/adapters/test_provider_answers.py"
_DISPATCH: Final = "tests/unit/executor/use_cases/test_dispatching.py"
_AWAY: Final = "tests/integration/executor/test_accounts_away.py"

_ATTEMPTS: Final = "services/executor/use_cases/attempts.py"
_HINTS: Final = "services/executor/use_cases/hints.py"
_OUTBOX: Final = "libs/common/outbox.py"
_PROVIDER: Final = "services/executor/adapters/provider"

MUTANTS: Final = (
    Mutant(
        "a hint is acknowledged before its claim",
        _HINTS,
        "    claims = await _claim(ports, floor, ids) if ids else []\n",
        "    await source.hints.ack(deliveries)\n"
        "    claims = await _claim(ports, floor, ids) if ids else []\n",
        ("tests/integration/executor/test_unclaimed_hints.py",),
    ),
    Mutant(
        "a lease is never renewed",
        "services/executor/use_cases/leases.py",
        "EVERY: Final = timedelta(seconds=5)",
        "EVERY: Final = timedelta(hours=5)",
        (f"{_DISPATCH}::test_a_lease_outlives_two_renewals_that_fail",),
    ),
    Mutant(
        "a lease that is lost does not end the call",
        "services/executor/use_cases/leases.py",
        "floor.cancel(lease for lease in leases if lease.request_id not in kept)",
        "floor.cancel([])",
        ("tests/unit/executor/use_cases/test_leases.py",),
    ),
    Mutant(
        "who stood still calls without asking",
        "services/executor/use_cases/leases.py",
        "    while not floor.is_surely_leased(claim):\n",
        "    while False:\n",
        (f"{_WORK}::test_who_stood_still_past_a_lease_asks_before_it_calls",),
    ),
    Mutant(
        "every attempt waits for an accounts that stands still",
        "services/executor/adapters/accounts.py",
        "age < STABLE_SECONDS and self._outage.is_on:",
        "age < STABLE_SECONDS and False:",
        (f"{_AWAY}::test_once_its_silence_is_noticed_nobody_waits_for_it",),
    ),
    Mutant(
        "accounts is not asked again while it is away",
        "services/executor/adapters/accounts.py",
        "            if self._outage.may_ask():\n",
        "            if False:\n",
        (f"{_AWAY}::test_it_is_asked_now_and_then_and_believed_as_soon_as_it_answers",),
    ),
    Mutant(
        "what accounts said is believed for ever",
        "services/executor/adapters/accounts.py",
        "age < STABLE_SECONDS and self._outage.is_on:",
        "self._outage.is_on:",
        (f"{_AWAY}::test_what_it_said_ends_in_the_end",),
    ),
    Mutant(
        "an answer in hand is dropped when the ledger is away",
        _ATTEMPTS,
        "            await asyncio.sleep(pause)\n            continue\n",
        "            return None\n",
        (f"{_WORK}::test_an_answer_in_hand_is_written_when_the_ledger_is_back",),
    ),
    Mutant(
        "an orphan is closed without a lease's length of contact",
        "services/executor/use_cases/dispatch.py",
        "if step is _close_orphans and not contact.covers_a_lease():",
        "if False:",
        (f"{_DISPATCH}::test_no_lease_is_taken_before_a_lease_of_unbroken_contact",),
    ),
    Mutant(
        "contact that was lost still counts",
        "services/executor/use_cases/dispatch.py",
        "            contact.lost()\n",
        "",
        (f"{_DISPATCH}::test_contact_that_was_lost_begins_anew",),
    ),
    Mutant(
        "a dispatcher that starts does not repeat the hints of the last",
        "services/executor/use_cases/dispatch.py",
        "    contact = Contact()\n    came_back.set()\n",
        "    contact = Contact()\n",
        (f"{_DISPATCH}::test_a_start_looks_at_every_hint_again",),
    ),
    Mutant(
        "the relay marks what the broker did not confirm",
        _OUTBOX,
        "for group, reason in outcomes if reason is None for row in group",
        "for group, reason in outcomes for row in group",
        (f"{_RELAY}::test_events_that_nobody_reads_stay_and_the_others_go",),
    ),
    Mutant(
        "the relay marks before it publishes",
        _OUTBOX,
        "            sent = await self._publish(rows)\n            if sent:\n",
        "            sent = [row.id for row in rows]\n"
        "            asyncio.get_running_loop().call_later(\n"
        "                0.5, lambda: asyncio.ensure_future(self._publish(rows))\n"
        "            )\n"
        "            if sent:\n",
        (
            f"{_RELAY}::test_a_relay_that_dies_between_publishing_and_deleting_sends_twice_and_loses_nothing",
        ),
    ),
    Mutant(
        "usage is counted as often as it is told",
        "services/billing/repositories/usage.py",
        'ORDER BY 1 ON CONFLICT DO NOTHING RETURNING request_id"',
        'ORDER BY 1 ON CONFLICT (request_id) DO UPDATE SET attempts = 99 RETURNING request_id"',
        (f"{_USAGE}::test_the_first_telling_stands",),
    ),
    Mutant(
        "test requests are billed",
        "services/billing/domain/usage.py",
        'if request.mode == "live")',
        "if request.mode)",
        (f"{_USAGE}::test_test_requests_count_for_nothing",),
    ),
    Mutant(
        "one usage that cannot be stored keeps others from being counted",
        "services/billing/use_cases/usage.py",
        "            return [await self._write_each(usages) for usages in events]",
        "            raise",
        (f"{_USAGE}::test_a_request_that_cannot_be_stored_keeps_no_other_of_its_event_from_it",),
    ),
    Mutant(
        "a told result is believed unopened",
        "services/gateway/use_cases/content.py",
        'plain = seal.open(told.result, "result")',
        "plain = told.result",
        (f"{_TOLD}::test_what_does_not_open_is_not_believed",),
    ),
    Mutant(
        "who stands before a closing door is reset",
        "libs/common/web/server.py",
        "for connection in _last_ones(door)]:",
        "for connection in _last_ones(door)[:0]]:",
        (f"{_STOPPING}::test_who_stands_before_the_door_when_it_closes_is_let_in_and_answered",),
    ),
    Mutant(
        "kept connections are closed at once at a stop",
        "libs/common/web/server.py",
        "while self.server_state.connections and loop.time() < ends_at:",
        "while False:",
        (f"{_STOPPING}::test_a_call_on_a_kept_connection_is_answered_after_the_stop",),
    ),
    Mutant(
        "what came behind an answer goes to the next caller",
        f"{_PROVIDER}/answers.py",
        "        if self._ending:\n            raise _Stop\n",
        "        return\n",
        (f"{_ANSWERS}::test_whatever_comes_behind_an_answer_spoils_the_connection",),
    ),
    Mutant(
        "what comes between two calls goes to the next caller",
        f"{_PROVIDER}/connections.py",
        "        elif self._was_used:\n            self.close()\n",
        "        elif self._was_used:\n            self._early += data\n",
        (_CONNECTIONS, "tests/integration/executor/test_provider_reuse.py"),
    ),
    Mutant(
        "the connection of a cancelled call is kept",
        f"{_PROVIDER}/pool.py",
        "if not connection.is_idle:",
        "if False:",
        (_CONNECTIONS, "tests/integration/executor/test_provider_failures.py"),
    ),
    Mutant(
        "a call cancelled in the moment of its answer keeps its connection",
        f"{_PROVIDER}/connections.py",
        "        finally:\n            reader.close(is_orderly=False)\n",
        "        finally:\n            self.is_idle = reader.can_be_followed\n"
        "            reader.close(is_orderly=False)\n",
        (f"{_CONNECTIONS}::test_a_call_cancelled_in_the_moment_of_its_answer_keeps_no_connection",),
    ),
)
