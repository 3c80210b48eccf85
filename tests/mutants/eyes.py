"""Mutants of what an operator sees: what must not be told, and what must."""

from typing import Final

from tests.mutants.mutant import Mutant

_TRACING: Final = "tests/unit/common/test_tracing.py"
_CONSUMER: Final = "tests/integration/common/test_rabbitmq_consumer.py"
_MEASURING: Final = "tests/integration/ledger/test_measuring.py"
_ALERTS: Final = "tests/unit/grafana/test_alerts.py"

MUTANTS: Final = (
    Mutant(
        "an error's text gets into its span",
        "libs/common/tracing/otel.py",
        "record_exception=False",
        "record_exception=True",
        (f"{_TRACING}::test_no_canary_gets_into_a_span",),
    ),
    Mutant(
        "a span takes any field",
        "libs/common/tracing/otel.py",
        "if name in ALLOWED and value is not None",
        "if value is not None",
        (f"{_TRACING}::test_no_canary_gets_into_a_span",),
    ),
    Mutant(
        "a caller decides that it is traced",
        "libs/common/tracing/otel.py",
        "                remote_parent_sampled=by_ratio,\n",
        "",
        (f"{_TRACING}::test_a_caller_may_ask_for_less_and_never_for_more",),
    ),
    Mutant(
        "a request's first span is in a trace of its own",
        "libs/common/tracing/otel.py",
        "self._ids.planned = ids = _ids_of(request_id)",
        "ids = _ids_of(request_id)",
        (f"{_TRACING}::test_who_only_knows_a_requests_id_adds_to_its_trace",),
    ),
    Mutant(
        "an idle reader's renewal is told as a loss",
        "libs/common/broker/rabbitmq/consumer.py",
        "self._link.renew_session()",
        "self._link.end_session()",
        (f"{_CONSUMER}::test_an_idle_session_is_renewed_without_a_word",),
    ),
    Mutant(
        "an end that changed nothing is counted",
        "libs/ledger/finish.py",
        "count_ends(one.state for one in written if one is not None)",
        "count_ends(State.COMPLETED for _ in written)",
        (f"{_MEASURING}::test_each_end_is_counted_once_whoever_brings_it_about",),
    ),
    Mutant(
        "an alert that looks at the wrong dispatcher",
        "deploy/grafana/alerts.yaml",
        "time() - max(reqrun_dispatch_last_pass_timestamp_seconds)",
        "time() - min(reqrun_dispatch_last_pass_timestamp_seconds)",
        (f"{_ALERTS}::test_each_fires_when_it_should_and_only_then",),
    ),
)
