"""Whether there are executors enough, and whether the dispatcher turns over."""

from typing import Final

from deploy.grafana.boards.asking import gauge, quantiles, rate, rates
from deploy.grafana.panels import Board, Panel, Query

BOARD: Final = Board(
    name="execution",
    title="executors and dispatcher",
    rows={
        "Places": (
            Panel(
                title="Places",
                queries=(
                    Query("sum(reqrun_attempts_places)", "there are"),
                    Query("sum(reqrun_attempts_running)", "taken"),
                    Query("max(reqrun_workable_requests)", "workable requests"),
                ),
            ),
            rates("Hints", "reqrun_hints_total", "found"),
            gauge("Open, by state", "sum by (state) (max by (state, age) (reqrun_open_requests))"),
        ),
        "Attempts": (
            rates("By outcome", "reqrun_attempts_total", "outcome"),
            rates("By error", "reqrun_attempts_total", "error_code"),
            Panel(
                title="Trouble",
                unit="ops",
                queries=(
                    Query(rate("reqrun_leases_lost_total"), "leases lost"),
                    Query(rate("reqrun_late_answers_dropped_total"), "late answers dropped"),
                    Query(rate("reqrun_attempts_given_back_total"), "given back"),
                    Query(rate("reqrun_finishes_postponed_total"), "ends postponed"),
                    Query(rate("reqrun_unreadable_bodies_total"), "bodies that do not open"),
                ),
            ),
        ),
        "Dispatcher": (
            gauge(
                "Since the last pass",
                "time() - max(reqrun_dispatch_last_pass_timestamp_seconds)",
                "s",
                "seconds",
            ),
            quantiles("A pass", "reqrun_dispatch_pass_seconds"),
            rates("Rows moved", "reqrun_dispatched_total", "why"),
            rates("Removed", "reqrun_purged_total", "what"),
            gauge("Faults of ours", rate("reqrun_dispatch_steps_failed_total"), "ops", "steps"),
            gauge(
                "Open requests cancelled by erasure",
                rate("reqrun_erased_open_requests_total"),
                "ops",
                "requests",
            ),
        ),
    },
)
