"""Usage, mails, accounts."""

from typing import Final

from deploy.grafana.boards.asking import gauge, grown, quantiles, rate, rates
from deploy.grafana.panels import Board, Panel, Query

BOARD: Final = Board(
    name="counting",
    title="billing, accounts and mails",
    rows={
        "Usage": (
            Panel(
                title="Requests counted",
                unit="ops",
                queries=(
                    Query(rate("reqrun_usage_recorded_total"), "counted"),
                    Query(rate("reqrun_usage_repeated_total"), "told again"),
                ),
            ),
            gauge("Roll-ups behind", "max(reqrun_rollup_lag_seconds)", "s", "seconds"),
            gauge("Rolled up", rate("reqrun_rolled_up_facts_total"), "ops", "facts"),
        ),
        "Paddle": (
            rates("Webhooks at the door", "reqrun_webhooks_received_total", "outcome"),
            rates("What came of them", "reqrun_webhooks_settled_total", "state"),
            gauge("The oldest", "max(reqrun_webhooks_oldest_age_seconds)", "s", "waits for"),
            rates("Calls", "reqrun_paddle_calls_total", "outcome"),
            quantiles("A call", "reqrun_paddle_call_seconds"),
            gauge("Plans changed", grown("reqrun_plans_changed_total"), legend="in an hour"),
        ),
        "Mails": (
            gauge("Waiting", "max(reqrun_mails_waiting)", legend="mails"),
            gauge("The oldest", "max(reqrun_mails_oldest_age_seconds)", "s", "waits for"),
            rates("Tries", "reqrun_mails_handled_total", "outcome"),
        ),
        "Accounts": (
            rates("Log-ins", "reqrun_accounts_log_ins_total", "outcome"),
            rates("Swept", "reqrun_accounts_swept_total", "what"),
            gauge("Accounts erased", grown("reqrun_accounts_erased_total"), legend="in an hour"),
        ),
    },
)
