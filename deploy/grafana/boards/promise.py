"""Whether what was accepted is done, and in what time."""

from typing import Final

from deploy.grafana.boards.asking import gauge, grown, quantiles, rate, zero
from deploy.grafana.panels import Board, Panel, Query

BOARD: Final = Board(
    name="promise",
    title="the promise",
    rows={
        "Must read 0": (
            zero("Forgotten", "max(reqrun_forgotten_rows)", "Over ten minutes late"),
            zero("Drift", "sum(max by (counter) (reqrun_counter_drift_rows))"),
            zero("Ends refused, 1 h", grown("reqrun_finishes_refused_total")),
            zero("Attempts crashed, 1 h", grown("reqrun_attempts_crashed_total")),
        ),
        "Accepted and ended": (
            Panel(
                title="Accepted and ended",
                unit="reqps",
                queries=(
                    Query(rate("reqrun_gateway_accept_seconds_count"), "accepted"),
                    Query(rate("reqrun_requests_ended_total", "state"), "{{state}}"),
                ),
                note="Over time both are alike; what is between them is open.",
                width=12,
            ),
            Panel(
                title="Open, by age",
                queries=(
                    Query("sum by (age) (max by (state, age) (reqrun_open_requests))", "{{age}}"),
                ),
                width=12,
            ),
        ),
        "How long it takes": (
            quantiles("From accepted to ended", "reqrun_request_seconds"),
            quantiles("To store it", "reqrun_gateway_accept_seconds"),
            quantiles("From due to begun", "reqrun_queue_wait_seconds"),
            quantiles("The provider", "reqrun_provider_call_seconds"),
            quantiles("Callers wait", "reqrun_gateway_wait_seconds"),
            gauge("The latest due row", "max(reqrun_oldest_due_seconds)", "s", "late"),
        ),
    },
)
