"""Dashboards as Grafana reads them (its JSON model, schema 39), from a few words each."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_COLUMNS: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_SCHEMA: Final = 39


class Query(msgspec.Struct, frozen=True):
    """PromQL, and how a line of it is called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One drawing. `unit`: Grafana's (`s`, `bytes`, `percentunit`, `reqps`, `short`).

    `must_be_zero`: shown as a number, red from 1 on. `note`: shown at its corner.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    note: str = ""
    must_be_zero: bool = False
    width: int = 8
    height: int = 7


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """One dashboard: rows by title. `name`: of its file, and part of its address in Grafana."""

    name: str
    title: str
    rows: dict[str, tuple[Panel, ...]]


def render(board: Board) -> str:
    """The file, ready to be imported. Every choice in it is ours, so it is the same each time."""
    model = {
        "uid": f"reqrun-{board.name}",
        "title": f"ReqRun: {board.title}",
        "tags": ["reqrun"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "title": "ReqRun", "tags": ["reqrun"], "asDropdown": True}
        ],
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource",
                 "query": "prometheus", "current": {}, "hide": 0},
            ]
        },
        "panels": list(_panels(board)),
    }  # fmt: skip
    return json.dumps(model, indent=1, sort_keys=True) + "\n"


def _panels(board: Board) -> Iterator[dict[str, Any]]:
    number = top = 0
    for title, panels in board.rows.items():
        number += 1
        yield _row(number, title, top)
        top += 1
        left = height = 0
        for panel in panels:
            if left + panel.width > _COLUMNS:
                left, top, height = 0, top + height, 0
            number += 1
            yield _panel(number, panel, {"x": left, "y": top})
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
    return {
        "id": number, "type": "row", "title": title, "collapsed": False,
        "gridPos": place, "panels": [],
    }  # fmt: skip


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.must_be_zero:
        steps.append({"color": "red", "value": 1})
    return {
        "id": number,
        "type": "stat" if panel.must_be_zero else "timeseries",
        "title": panel.title,
        "description": panel.note,
        "datasource": _SOURCE,
        "gridPos": {**place, "w": panel.width, "h": panel.height},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": _STAT if panel.must_be_zero else _LINES,
        "targets": [_target(at, query) for at, query in enumerate(panel.queries)],
    }


_STAT: Final = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
_LINES: Final = {
    "legend": {"displayMode": "list", "placement": "bottom"},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _target(at: int, query: Query) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + at),
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
    }
