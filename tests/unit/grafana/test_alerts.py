"""Each alert fires when it should and is silent when it should be; and each has its page."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from deploy.grafana.inventory import LIBRARYS, inventory
from deploy.grafana.products import ROOT
from deploy.grafana.rules import RULES, Alert, names_in, prometheus_rule, rules
from deploy.local.processes import PROCESSES

ALERTS: Final = rules((ROOT / RULES).read_text())
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text()
BASE: Final = "https://reqrun.example/docs/runbook.md#"
ONLY_LOCAL: Final = {"mail", "paddle", "simulator"}

SAMPLES: Final = 200
"""A quarter of a minute apart: fifty minutes. Looked at after forty."""


class Case(NamedTuple):
    """Series by name, as promtool writes their values; `xN` is added."""

    fires: dict[str, str]
    silent: dict[str, str]


def constant(series: str, wrong: float, right: float) -> Case:
    return Case({series: f"{wrong}+0"}, {series: f"{right}+0"})


def growing(series: str) -> Case:
    return Case({series: "0+1"}, {series: "7+0"})


def histogram(name: str, slow: str, quick: str) -> Case:
    """Cumulative buckets: nearly all observations below `slow`, or `quick`, and above what is less.

    `+Inf` grows with the slow ones.
    """
    return Case(
        {f'{name}_bucket{{le="{quick}"}}': "0+1", f'{name}_bucket{{le="{slow}"}}': "0+100",
         f'{name}_bucket{{le="+Inf"}}': "0+100"},
        {f'{name}_bucket{{le="{quick}"}}': "0+100", f'{name}_bucket{{le="{slow}"}}': "0+100",
         f'{name}_bucket{{le="+Inf"}}': "0+100"},
    )  # fmt: skip


def share(one: str, other: str) -> Case:
    """Of two counters the first grows faster, or slower by far."""
    return Case({one: "0+10", other: "0+1"}, {one: "0+0", other: "0+100"})


NAMES: Final = (
    "gateway",
    "executor",
    "dispatcher",
    "accounts",
    "accounts-worker",
    "billing",
    "billing-worker",
)
INFO: Final = {f'reqrun_process_info{{process="{name}"}}': "1+0" for name in NAMES}
OPEN: Final = 'reqrun_open_requests{state="queued",age="under_1m"}'
FDS: Final = 'process_open_fds{instance="a"}'
MAX_FDS: Final = {'process_max_fds{instance="a"}': "1000+0"}
OURS: Final = {**MAX_FDS, 'reqrun_process_info{instance="a",process="gateway"}': "1+0"}

CASES: Final = {
    "ReqRunRequestsForgotten": constant("reqrun_forgotten_rows", 1, 0),
    "ReqRunRequestsLate": constant("reqrun_oldest_due_seconds", 61, 20),
    "ReqRunUsageDrifts": constant("reqrun_usage_drift_requests", 1, 0),
    "ReqRunPaddleDrifts": constant("reqrun_paddle_drift_rows", 1, 0),
    "ReqRunNightNotEnded": constant('reqrun_night_late_seconds{night="usage"}', 30_000, 3_600),
    "ReqRunCountersDrift": constant('reqrun_counter_drift_rows{counter="slots"}', 1, 0),
    # One of two dispatchers is enough, and executors always say 0.
    "ReqRunDispatcherStands": Case(
        {'reqrun_dispatch_last_pass_timestamp_seconds{instance="executor"}': "0+0"},
        {
            'reqrun_dispatch_last_pass_timestamp_seconds{instance="executor"}': "0+0",
            'reqrun_dispatch_last_pass_timestamp_seconds{instance="dispatcher"}': "0+15",
        },
    ),
    "ReqRunDispatchStepsFail": growing("reqrun_dispatch_steps_failed_total"),
    "ReqRunEndsRefused": growing("reqrun_finishes_refused_total"),
    "ReqRunAttemptsCrash": growing("reqrun_attempts_crashed_total"),
    "ReqRunLeasesLost": growing("reqrun_leases_lost_total"),
    "ReqRunLateAnswersDropped": growing("reqrun_late_answers_dropped_total"),
    "ReqRunProcessMissing": Case(
        {name: value for name, value in INFO.items() if "dispatcher" not in name}, INFO
    ),
    "ReqRunGatewayErrors": share(
        'reqrun_gateway_answers_total{status="503"}', 'reqrun_gateway_answers_total{status="200"}'
    ),
    "ReqRunAcceptSlow": histogram("reqrun_gateway_accept_seconds", "1.0", "0.005"),
    "ReqRunConnectionsCut": Case(
        {'reqrun_connections_cut_total{reason="surplus"}': "0+300"},
        {'reqrun_connections_cut_total{reason="surplus"}': "0+15"},
    ),
    "ReqRunOneAccountFloods": Case(
        {"reqrun_largest_account_requests": "20000+0", OPEN: "21000+0"},
        {"reqrun_largest_account_requests": "20000+0", OPEN: "90000+0"},
    ),
    "ReqRunKeysLost": growing("reqrun_executor_seals_broken_total"),
    "ReqRunExecutorsFull": Case(
        {
            "reqrun_attempts_running": "256+0",
            "reqrun_attempts_places": "256+0",
            "reqrun_workable_requests": "500+0",
        },
        {
            "reqrun_attempts_running": "256+0",
            "reqrun_attempts_places": "256+0",
            "reqrun_workable_requests": "3+0",
        },
    ),
    "ReqRunQueueWaitLong": histogram("reqrun_queue_wait_seconds", "300.0", "1.0"),
    "ReqRunProvidersFail": share(
        'reqrun_attempts_total{outcome="transient",error_code="provider_unavailable"}',
        'reqrun_attempts_total{outcome="completed",error_code=""}',
    ),
    "ReqRunDatabaseAway": Case(
        {'reqrun_database_errors_total{database="requests",why="unreachable"}': "0+5"},
        {'reqrun_database_errors_total{database="requests",why="conflict"}': "0+5"},
    ),
    "ReqRunDatabaseFull": growing(
        'reqrun_database_errors_total{database="requests",why="disk_full"}'
    ),
    "ReqRunClockSkewed": constant('reqrun_clock_offset_seconds{database="requests"}', -9, -1),
    "ReqRunBrokerAway": Case(
        {"reqrun_workable_requests": "0+0"}, {'reqrun_queue_messages{queue="work.first"}': "0+0"}
    ),
    "ReqRunBrokerRefuses": growing(
        'reqrun_broker_unsent_total{exchange="reqrun.work",reason="refused"}'
    ),
    "ReqRunBrokerSessionsLost": Case(
        {'reqrun_broker_sessions_ended_total{link="consumer",why="lost"}': "0+1"},
        {'reqrun_broker_sessions_ended_total{link="consumer",why="renewed"}': "0+1"},
    ),
    "ReqRunMessagesParked": Case(
        {'reqrun_queue_messages{queue="billing.requests.parked"}': "1+0"},
        {'reqrun_queue_messages{queue="billing.requests"}': "1+0"},
    ),
    "ReqRunEventsPileUp": Case(
        {'reqrun_queue_messages{queue="billing.requests"}': "2000+0"},
        {'reqrun_queue_messages{queue="work.first"}': "2000+0"},
    ),
    "ReqRunEventsFail": growing('reqrun_event_failures_total{queue="billing.requests"}'),
    "ReqRunOutboxStands": constant('reqrun_outbox_oldest_age_seconds{database="requests"}', 500, 1),
    "ReqRunRedisAway": constant("reqrun_gateway_rates_local", 1, 0),
    "ReqRunAccountsAway": growing("reqrun_gateway_last_contexts_used_total"),
    "ReqRunLogLinesLost": growing("reqrun_log_lines_lost_total"),
    "ReqRunFilesRunOut": Case({FDS: "900+0", **OURS}, {FDS: "900+0", **MAX_FDS}),
    "ReqRunRollUpsLate": constant("reqrun_rollup_lag_seconds", 400, 2),
    "ReqRunMailsStand": constant("reqrun_mails_oldest_age_seconds", 1000, 60),
    "ReqRunMailsGivenUp": growing('reqrun_mails_handled_total{outcome="given_up"}'),
    "ReqRunWebhooksStand": constant("reqrun_webhooks_oldest_age_seconds", 900, 2),
    "ReqRunWebhooksGivenUp": growing("reqrun_webhooks_failed_total"),
    "ReqRunPriceUnknown": growing("reqrun_subscriptions_unpriced_total"),
}
"""What promtool plays to each alert. A new alert is one more entry."""


def test_every_alert_is_played_to() -> None:
    assert [alert.name for alert in ALERTS] == list(dict.fromkeys(alert.name for alert in ALERTS))
    assert {alert.name for alert in ALERTS} == {*CASES}


def test_each_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    played = [str(_write(tmp_path, rule)) for rule in _rules()]

    done = _promtool("test", "rules", *played)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(played) == len(CASES)


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / RULES).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _write(folder: Path, rule: dict[str, Any]) -> Path:
    """Each is played to alone: promtool looks at all rules of a file for every series."""
    name = rule["alert"]
    (folder / f"{name}.rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": name, "rules": [rule]}]})
    )
    document = {
        "rule_files": [f"{name}.rules.yaml"],
        "evaluation_interval": "1m",
        "tests": _tests(name, CASES[name]),
    }
    played = folder / f"{name}.yaml"
    played.write_text(yaml.safe_dump(document))
    return played


def _tests(name: str, case: Case) -> list[dict[str, Any]]:
    """Firing alerts are series of Prometheus's own, so their labels and words need not be told."""
    firing = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    return [
        _test(f"{name} fires", case.fires, f"count({firing}) > bool 0", [_ONE]),
        _test(f"{name} is silent", case.silent, firing, []),
    ]


_ONE: Final = {"labels": "{}", "value": 1}


def _test(
    name: str, series: dict[str, str], expression: str, samples: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "15s",
        "input_series": [
            {"series": one, "values": f"{values}x{SAMPLES}"} for one, values in series.items()
        ],
        "promql_expr_test": [{"expr": expression, "eval_time": "40m", "exp_samples": samples}],
    }


def _promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # our own words
        ["promtool", *words],  # noqa: S607  # where bootstrap.sh has put it
        check=False,
        capture_output=True,
        text=True,
    )


def test_promtool_takes_the_rules() -> None:
    done = _promtool("check", "rules", str(ROOT / RULES))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_is_complete_and_asks_for_what_there_is(alert: Alert) -> None:
    there = {sample for metric in inventory() for sample in metric.samples} | {*LIBRARYS}
    asked = names_in(alert.expression)

    assert asked
    assert asked - there == set()
    assert alert.severity in {"critical", "warning"}
    assert alert.runbook_url == f"{BASE}{alert.name.lower()}"


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = re.findall(r"^### (ReqRun\w+)$", RUNBOOK, re.MULTILINE)

    assert pages == [alert.name for alert in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_page_says_what_it_means_how_to_look_and_what_to_do(alert: Alert) -> None:
    page = RUNBOOK.partition(f"### {alert.name}\n")[2].partition("\n### ")[0]

    parts = [page.find(f"**{part}.**") for part in ("Means", "Look", "Do")]
    assert parts == sorted(parts)
    assert -1 not in parts


def test_every_process_that_runs_in_production_is_missed_when_it_is_missing() -> None:
    running = {process.name for process in PROCESSES} - ONLY_LOCAL
    [missing] = [alert for alert in ALERTS if alert.name == "ReqRunProcessMissing"]

    assert set(re.findall(r'process="([\w-]+)"', missing.expression)) == running == {*NAMES}


def test_the_operators_rules_are_the_same_rules() -> None:
    made = yaml.safe_load(prometheus_rule((ROOT / RULES).read_text()))

    assert made["spec"] == yaml.safe_load((ROOT / RULES).read_text())
    assert made["kind"] == "PrometheusRule"
