"""Dashboards ask for metrics that there are, show each of them, and are such that Grafana reads."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.grafana.boards import BOARDS
from deploy.grafana.inventory import LIBRARYS, inventory
from deploy.grafana.products import DASHBOARDS, ROOT
from deploy.grafana.rules import names_in

FILES: Final = sorted((ROOT / DASHBOARDS).glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_there_is_a_file_for_each_board_and_no_other() -> None:
    assert [path.stem for path in FILES] == sorted([*(board.name for board in BOARDS), "rest"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_panel_asks_for_nothing_that_is_not_there(path: Path) -> None:
    there = {sample for metric in inventory() for sample in metric.samples}
    there |= {*LIBRARYS, *(f"{name}_total" for name in LIBRARYS)}
    asked = {name for expression in expressions(load(path)) for name in names_in(expression)}

    assert asked
    assert asked - there == set()


def test_every_metric_is_on_a_board() -> None:
    asked = {name for path in FILES for text in expressions(load(path)) for name in names_in(text)}

    assert [metric.name for metric in inventory() if not asked & {*metric.samples}] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_places_of_their_own_and_ids_that_differ(path: Path) -> None:
    panels = load(path)["panels"]
    taken = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
