"""Who calls, what they hear, and who waits."""

from typing import Final

from deploy.grafana.boards.asking import gauge, rate, rates
from deploy.grafana.panels import Board, Panel, Query

BOARD: Final = Board(
    name="gate",
    title="the gate",
    rows={
        "Calls": (
            rates("Answers", "reqrun_gateway_answers_total", "status"),
            rates("By route", "reqrun_gateway_answers_total", "route"),
            rates("Refusals", "reqrun_gateway_refusals_total", "code"),
        ),
        "Waiting": (
            gauge("Calls that wait", "sum(reqrun_gateway_waiting_calls)", legend="waiting"),
            rates("How waits end", "reqrun_gateway_waits_total", "reason"),
            rates("Connections cut", "reqrun_connections_cut_total", "reason"),
        ),
        "Group commit": (
            Panel(
                title="Items a batch",
                queries=(
                    Query(
                        f"{rate('reqrun_batch_size_items_sum', 'batch')}"
                        f" / {rate('reqrun_batch_size_items_count', 'batch')}",
                        "{{batch}}",
                    ),
                ),
            ),
            gauge(
                "Hints not sent",
                rate("reqrun_gateway_hints_dropped_total"),
                "ops",
                "left to the dispatcher",
            ),
            gauge(
                "Largest account", "max(reqrun_largest_account_requests)", legend="open requests"
            ),
        ),
    },
)
