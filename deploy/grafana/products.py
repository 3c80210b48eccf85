"""Everything that is made here, as texts by path."""

from pathlib import Path
from typing import Final

from deploy.grafana.boards import BOARDS
from deploy.grafana.boards.rest import rest
from deploy.grafana.inventory import inventory, table
from deploy.grafana.panels import render
from deploy.grafana.rules import PROMETHEUS_RULE, RULES, prometheus_rule, rules

ROOT: Final = Path(__file__).parents[2]
METRICS: Final = "docs/metrics.md"
DASHBOARDS: Final = "deploy/grafana/dashboards"


def products() -> dict[str, str]:
    """By path from the root of the tree."""
    source, metrics = (ROOT / RULES).read_text(), inventory()
    boards = (*BOARDS, rest(BOARDS, metrics))
    return {
        METRICS: table(metrics, rules(source)),
        PROMETHEUS_RULE: prometheus_rule(source),
        **{f"{DASHBOARDS}/{board.name}.json": render(board) for board in boards},
    }
