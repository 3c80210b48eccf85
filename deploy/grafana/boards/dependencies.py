"""PostgreSQL, RabbitMQ, Redis, keys and processes: what it all stands on."""

from typing import Final

from deploy.grafana.boards.asking import EVERY, gauge, rate, rates
from deploy.grafana.panels import Board, Panel, Query

BOARD: Final = Board(
    name="dependencies",
    title="what it stands on",
    rows={
        "PostgreSQL": (
            rates("Errors", "reqrun_database_errors_total", "database, why"),
            gauge("The ledger on disk", "max(reqrun_ledger_size_bytes)", "bytes", "size"),
            gauge(
                "Clocks apart",
                "max by (database) (abs(reqrun_clock_offset_seconds))",
                "s",
                "{{database}}",
            ),
        ),
        "RabbitMQ": (
            gauge("Messages", "max by (queue) (reqrun_queue_messages)", legend="{{queue}}"),
            rates("Confirmed", "reqrun_broker_confirmed_total", "exchange"),
            rates("Not confirmed", "reqrun_broker_unsent_total", "exchange, reason"),
            rates("Sessions opened", "reqrun_broker_sessions_total", "link"),
            rates("Sessions ended", "reqrun_broker_sessions_ended_total", "link, why"),
            Panel(
                title="Trouble",
                unit="ops",
                queries=(
                    Query(rate("reqrun_broker_settlements_lost_total"), "acks lost"),
                    Query(rate("reqrun_broker_consumers_lost_total"), "consumers lost"),
                ),
            ),
        ),
        "Events": (
            rates("Settled", "reqrun_events_settled_total", "queue, fate"),
            rates("Failed", "reqrun_event_failures_total", "queue"),
            gauge(
                "Oldest fact not told",
                "max by (database) (reqrun_outbox_oldest_age_seconds)",
                "s",
                "{{database}}",
            ),
            rates("Told", "reqrun_outbox_relayed_total", "database"),
            rates("Passes failed", "reqrun_outbox_passes_failed_total", "database"),
        ),
        "Redis, accounts, keys": (
            gauge("Gateways without Redis", "sum(reqrun_gateway_rates_local)", legend="gateways"),
            gauge(
                "Contexts used without accounts",
                rate("reqrun_gateway_last_contexts_used_total"),
                "ops",
                "contexts",
            ),
            Panel(
                title="Seals that do not open",
                unit="ops",
                queries=(
                    Query(rate("reqrun_gateway_seals_broken_total"), "gateway"),
                    Query(rate("reqrun_executor_seals_broken_total"), "executor"),
                ),
            ),
        ),
        "Processes": (
            gauge("Processes", "count by (process) (reqrun_process_info)", legend="{{process}}"),
            gauge(
                "Memory",
                "process_resident_memory_bytes and on (instance) reqrun_process_info",
                "bytes",
                "{{instance}}",
            ),
            gauge(
                "CPU",
                f"rate(process_cpu_seconds_total[{EVERY}]) and on (instance) reqrun_process_info",
                "percentunit",
                "{{instance}}",
            ),
            gauge(
                "Files open",
                "process_open_fds / process_max_fds and on (instance) reqrun_process_info",
                "percentunit",
                "{{instance}}",
            ),
            gauge("Log lines lost", rate("reqrun_log_lines_lost_total"), "ops", "lines"),
        ),
    },
)
