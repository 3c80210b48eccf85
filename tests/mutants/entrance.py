"""Who is let in, what is stored of it, and when it is promised."""

from typing import Final

from tests.mutants.mutant import Mutant

_SIGNED: Final = "tests/integration/gateway/test_signed_calls.py"
_SIGNATURES: Final = "tests/unit/gateway/domain/test_signatures.py"
_BODIES: Final = "tests/integration/gateway/test_submitting.py"
_KEYS: Final = "tests/integration/gateway/test_idempotency.py"
_OUTAGES: Final = "tests/integration/gateway/test_ledger_outages.py"
_VERDICTS: Final = "tests/integration/ledger/test_verdicts.py"
_CALLERS: Final = "tests/unit/gateway/use_cases/test_callers.py"
_AHEAD: Final = "tests/integration/gateway/test_rates_ahead.py"
_AHEAD_ON_THE_DESK: Final = "tests/unit/gateway/adapters/test_ahead.py"
_LIMITS: Final = "tests/integration/ledger/test_interleaved_limits.py"

_ENTRANCE: Final = "services/gateway/use_cases/entrance.py"
_SUBMITTING: Final = "services/gateway/use_cases/submitting.py"
_KNOWN_CALLERS: Final = "services/gateway/use_cases/callers.py"
_PERIODS: Final = "tests/integration/ledger/test_periods.py"
_COMPANY: Final = "tests/integration/ledger/test_company.py"
_ALONE: Final = "libs/ledger/migrations/sql/0013_alone.sql"
_ACCEPT: Final = "libs/ledger/migrations/sql/0007_accept.sql"

MUTANTS: Final = (
    Mutant(
        "a signature is never compared",
        "services/gateway/domain/signatures.py",
        "if not hmac.compare_digest(expected, signature.digest):",
        "if False:",
        (f"{_SIGNATURES}::test_one_turned_bit_of_the_signature_is_refused",),
    ),
    Mutant(
        "a timestamp of any age is good",
        "services/gateway/domain/signatures.py",
        "if abs(now - signature.signed_at) > WINDOW:",
        "if False:",
        (f"{_SIGNATURES}::test_five_minutes_either_way_are_taken_and_no_more",),
    ),
    Mutant(
        "a key that must sign works unsigned",
        _ENTRANCE,
        "if not caller.context.needs_signature:",
        "if signed.signature is None:",
        (f"{_SIGNED}::test_each_flaw_has_its_code_and_spends_no_nonce",),
    ),
    Mutant(
        "a nonce is spent before the signature is checked",
        _ENTRANCE,
        "            if signature is not None:\n                signatures.verify(",
        "            if signature is not None:\n"
        "                nonce = Nonce(caller.context.key_id, signature.nonce)\n"
        "                await self._ports.ledger.spend(nonce)\n"
        "                signatures.verify(",
        (f"{_SIGNED}::test_each_flaw_has_its_code_and_spends_no_nonce",),
    ),
    Mutant(
        "a nonce is not spent with the request",
        _SUBMITTING,
        "submission, nonce=order.nonce, idempotency=",
        "submission, nonce=None, idempotency=",
        (f"{_SIGNED}::test_the_same_call_is_refused_by_another_gateway",),
    ),
    Mutant(
        "the nonce of a read is not spent",
        "services/gateway/api/desk.py",
        "        await desk.entrance.spend(guest)",
        "        pass",
        (f"{_SIGNED}::test_a_signed_read_is_taken_once_on_two_gateways",),
    ),
    Mutant(
        "the nonce of a cancel is not spent",
        "services/gateway/use_cases/requests.py",
        "return Change(question(guest.caller, request_id), nonce or None)",
        "return Change(question(guest.caller, request_id), None)",
        ("tests/integration/gateway/test_life_after_submit.py::test_a_signed_change_is_made_once",),
    ),
    Mutant(
        "the fast path takes a nonce twice",
        _ACCEPT,
        "IF coalesce(cardinality(fresh), 0) < wanted THEN",
        "IF p_is_exact AND coalesce(cardinality(fresh), 0) < wanted THEN",
        (f"{_COMPANY}::test_a_spent_nonce_stores_nothing",),
    ),
    Mutant(
        "one alone takes a nonce twice",
        _ALONE,
        "        IF NOT FOUND THEN\n            RAISE EXCEPTION 'a nonce was used'",
        "        IF false THEN\n            RAISE EXCEPTION 'a nonce was used'",
        (f"{_COMPANY}::test_a_spent_nonce_stores_nothing",),
    ),
    Mutant(
        "a revoked key is good for ever",
        _KNOWN_CALLERS,
        "asked_at + ASK_AGAIN_AFTER, asked_at + GOOD_FOR)",
        "asked_at + 1e9, asked_at + 1e9)",
        (f"{_CALLERS}::test_a_revoked_key_ends_within_three_seconds",),
    ),
    Mutant(
        "what accounts said counts for ever",
        _KNOWN_CALLERS,
        "STABLE_FOR: Final = 600.0",
        "STABLE_FOR: Final = 600_000_000.0",
        (f"{_CALLERS}::test_without_accounts_a_key_goes_on_for_ten_minutes",),
    ),
    Mutant(
        "a request is promised before its commit",
        _SUBMITTING,
        "    verdict = await ports.ledger.accept(submission)\n",
        "    import asyncio\n"
        "    asyncio.ensure_future(ports.ledger.accept(submission)).add_done_callback(\n"
        "        lambda done: done.exception()\n"
        "    )\n"
        "    verdict = Accepted(submission.id, ports.clock.now(), None)\n",
        (f"{_OUTAGES}::test_a_frozen_database_is_a_503_within_three_seconds_for_everybody",),
    ),
    Mutant(
        "a body is stored in plain",
        "services/gateway/use_cases/content.py",
        'caller.data_key.of(request_id, body_key).seal(body, "request")',
        "body",
        (f"{_BODIES}::test_the_provider_gets_the_body_without_our_fields_byte_for_byte",),
    ),
    Mutant(
        "a body opens as another request's",
        "libs/common/content.py",
        'f"bodies/{self._request_id}/{kind}/{number}"',
        'f"bodies/{kind}/{number}"',
        ("tests/unit/common/test_content.py",),
    ),
    Mutant(
        "test and live share their keys",
        _SUBMITTING,
        "        mode=context.mode,\n        endpoint",
        '        mode="live",\n        endpoint',
        (f"{_KEYS}::test_test_and_live_and_other_projects_share_no_keys",),
    ),
    Mutant(
        "a key forgets what it was used for",
        _ACCEPT,
        "WHEN k.fingerprint = u.fingerprint THEN 'known'",
        "WHEN true THEN 'known'",
        (f"{_VERDICTS}::test_a_key_with_another_fingerprint_is_a_conflict_that_names_the_first",),
    ),
    Mutant(
        "an expired key is free while its request still runs",
        _ACCEPT,
        "AND NOT EXISTS (SELECT FROM live l WHERE l.id = k.request_id OFFSET 0)\n",
        "\n",
        (f"{_VERDICTS}::test_a_key_is_free_again_when_it_has_expired_and_its_request_is_final",),
    ),
    Mutant(
        "a refused request keeps its key",
        _ACCEPT,
        "                AND k.request_id = entry.id;",
        "                AND k.request_id = entry.id AND false;",
        (f"{_VERDICTS}::test_a_refused_request_leaves_its_key_free",),
    ),
    Mutant(
        "the fast path knows no limits",
        _ACCEPT,
        "OR c.pending + entry.n <= entry.pending_limit AND (",
        "OR true OR (",
        (f"{_COMPANY}::test_a_full_account_takes_no_more",),
    ),
    Mutant(
        "one alone knows no limits",
        _ALONE,
        "AND c.pending < p_pending_limit\n",
        "\n",
        (f"{_LIMITS}::test_the_last_pending_place_is_given_once",),
    ),
    Mutant(
        "the exact path admits one too many",
        _ACCEPT,
        "WHEN c.pending + i.rank > i.pending_limit THEN",
        "WHEN c.pending + i.rank > i.pending_limit + 1 THEN",
        (f"{_LIMITS}::test_the_last_pending_place_is_given_once",),
    ),
    Mutant(
        "a counter's period goes back with an anchor that is not known yet",
        _ACCEPT,
        "period = greatest(c.period, entry.period)",
        "period = entry.period",
        (f"{_COMPANY}::test_a_period_never_goes_back",),
    ),
    Mutant(
        "one alone sets a counter's period back",
        _ALONE,
        "period = greatest(c.period, this_period)",
        "period = this_period",
        (f"{_PERIODS}::test_a_new_anchor_begins_a_period_and_an_old_one_does_not_end_it",),
    ),
    Mutant(
        "a retry leaves the key where it was",
        _ACCEPT,
        "UPDATE idempotency_keys k SET request_id = entry.id, expires_on = entry.day",
        "UPDATE idempotency_keys k SET expires_on = entry.day",
        (f"{_VERDICTS}::test_a_request_is_retried_once_and_its_key_leads_to_the_retry",),
    ),
    Mutant(
        "what is out on leave is had by others too",
        "services/gateway/adapters/buckets.py",
        " - young[i] - old[i], 0)",
        ", 0)",
        (f"{_AHEAD}::test_redis_counts_what_is_out_on_leave_as_the_model_does",),
    ),
    Mutant(
        "what went ahead is not charged",
        "services/gateway/adapters/buckets.py",
        "    spend(i, owed)",
        "",
        (f"{_AHEAD}::test_redis_is_told_of_each_once_and_leave_follows_leave",),
    ),
    Mutant(
        "a leave is used while it goes back",
        "services/gateway/adapters/ahead.py",
        "            known.left = 0",
        "            pass",
        (f"{_AHEAD_ON_THE_DESK}::test_nor_in_the_histories_that_are_hard_to_come_by",),
    ),
)
