"""docs/scaling.md quotes what was measured, and what code and manifests say."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest

from bench import sizing
from bench.plan import completed, completed_signed, drained, paced
from libs.common import outbox
from libs.common.contracts.gateway import TOLD_RESULT_BYTES
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.database import BOUNDS
from libs.ledger import purge, release, retire, roll_up
from services.executor.settings import Settings as ExecutorSettings
from services.gateway.settings import Settings as GatewaySettings

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = sizing.PAGE.read_text("utf-8")
RESULTS, SCALES = sizing.load()


def default(kind: type[msgspec.Struct], name: str) -> object:
    return next(one.default for one in msgspec.structs.fields(kind) if one.name == name)


def in_manifest(path: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / "deploy" / "k8s" / path).read_text("utf-8"))
    assert found, (path, pattern)
    return found[1]


def test_the_tables_are_made_of_the_committed_results() -> None:
    """Another result: `python -m bench.sizing`, and read the sentences beside the tables again."""
    assert sizing.put(PAGE, sizing.tables(RESULTS, SCALES)) == PAGE


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not in the page"):
        sizing.put("", {"cpu": ""})


@pytest.mark.parametrize(
    ("rate", "gateways", "like"), [(100, 3, 50), (600, 3, 200), (1_000, 3, 400), (2_401, 4, 800)]
)
def test_a_gateway_costs_what_was_measured_at_no_less_than_its_share(
    rate: int, gateways: int, like: int
) -> None:
    assert (sizing.gateways(rate), sizing.like(rate)) == (gateways, like)


def test_what_the_sentences_say_was_measured() -> None:
    """Each is a round number in docs/scaling.md."""
    dearer = RESULTS.ratio(completed_signed(128), completed(128), lambda made: made.system_cpu_ms)
    ten_thousand = sizing.busy_cores(RESULTS, 10_000)

    assert 1 < dearer < 1.1  # "up to a tenth more"
    assert 1_100 < RESULTS.per_second(completed(128)) < 1_200  # "up to 1 150"
    assert 2_300 < RESULTS.per_second(drained(5_000)) < 2_500  # "up to 2 400/s"
    assert 6.5 <= ten_thousand["postgresql"] < 7.5  # "7 cores with full batches"
    alone = RESULTS.cpu(paced(sizing.ALONE))["postgresql"]
    assert 20 < alone * 10 < 21.5  # "21 with batches of one", "2.1 ms"
    assert 0.65 < RESULTS.cpu(paced(800))["postgresql"] < 0.75  # "in place of 0.7"
    assert ten_thousand["postgresql"] / sizing.BUSY > sizing.NODE_CORES  # "fits no node"
    memory = RESULTS.memory[-1]
    assert 0.15e9 < memory["accounts"] < 0.25e9  # "accounts 0.2"
    assert all(0.05e9 < memory[one] < 0.15e9 for one in ("gateway", "executor", "billing"))
    assert 0.15 < ten_thousand["redis"] < 0.25  # "a fifth full"
    assert 0.65 < (ten_thousand["accounts"] + ten_thousand["billing"]) < 0.75  # "0.07 ms"
    assert 71 <= sizing.busy_cores(RESULTS, 100_000)["postgresql"] < 72  # "72 cores"
    daily = sizing.stored_bytes(SCALES) * 100 * 86_400
    assert 2.5 < 50 * 2**30 / daily < 3.5  # "full in three days"


def test_what_the_sentences_say_of_the_code_is_so() -> None:
    assert retire.LIMIT * retire.ROUNDS // 60 == 833
    assert retire.PAGE == 200
    assert round(purge.LIMIT * purge.ROUNDS / 60) == 1_667
    assert (outbox.BATCH, roll_up.LIMIT, release.PER_PROJECT) == (64, 128, 64)
    assert TOLD_RESULT_BYTES == 16 * 1024
    assert default(ExecutorSettings, "places") == 256
    assert default(GatewaySettings, "ledger_connections") == 6
    assert default(GatewaySettings, "max_waiting") == 20_000
    assert BOUNDS.connections == 8
    scale, pro = (PLANS[name].limits for name in (PlanName.SCALE, PlanName.PRO))
    assert (scale.requests_per_minute, scale.running, pro.running) == (6_000, 512, 64)


def test_what_the_sentences_say_of_the_manifests_is_so() -> None:
    scaler = "components/autoscaling/executors.yaml"
    executors = int(in_manifest(scaler, r"maxReplicaCount: (\d+)"))
    gateways = int(in_manifest("base/scaling.yaml", r"maxReplicas: (\d+)"))
    databases = "components/operators/databases.yaml"

    assert int(in_manifest(scaler, r'targetQueryValue: "(\d+)"')) == sizing.CALLS_A_POD
    assert int(in_manifest("base/scaling.yaml", r"minReplicas: (\d+)")) == sizing.FEWEST_GATEWAYS
    assert (gateways, executors, gateways * 12 + executors * 4 + 2 * 12) == (20, 50, 464)
    assert in_manifest(databases, r'max_connections: "(\d+)"') == "500"
    assert in_manifest(databases, r"storage: \{size: (\w+)\}") == "50Gi"


def test_metrics_alerts_and_settings_that_are_named_exist() -> None:
    metrics = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    named = set(re.findall(r"reqrun_(?!live|test)\w+", PAGE))
    alerts = set(re.findall(r"\[(ReqRun\w+)\]\(runbook\.md#(\w+)\)", PAGE))

    assert len(named) > 10
    assert {name for name in named if f"| `{name}` |" not in metrics} == set()
    assert {name for name, _ in alerts if f"### {name}\n" not in runbook} == set()
    assert all(name.lower() == anchor for name, anchor in alerts)
